/*
 * json_scanner.c - is this text, so far, the beginning of a JSON value?
 *
 * A state machine over single bytes: one function a state, in a table. Any split of the input gives
 * the same answer, because nothing but the struct is remembered. Runs of plain string bytes are
 * stepped over sixteen at a time. It agrees with the reader about what is JSON; what only a whole
 * document shows (duplicate keys, wrong Extended JSON forms) is left to the reader.
 *
 *   value -> string | number | literal | '[' -> first element | '{' -> first key
 *   first key, key -> string -> colon -> value -> after -> key | element | closed -> after | end
 */
#include <nexadb/json.h>

#include "doc/json_chars.h"

#define MAX_NESTING (NX_DOC_MAX_DEPTH + 3) /* as the reader: Extended JSON forms nest to 3 */
#define EXPECTS_LOW 0x80000000u            /* in `hex`: a high surrogate stands before */

enum state {
    START,
    VALUE,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEY,
    COLON,
    AFTER,
    END,
    STRING,
    ESCAPE,
    HEX,
    LOW_BACKSLASH,
    LOW_U,
    UTF8,
    LITERAL,
    MINUS,
    ZERO,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    EXPONENT_DIGITS,
};

enum { STRING_IS_VALUE, STRING_IS_KEY };

enum step { TAKEN, AGAIN, BAD }; /* AGAIN: the byte belongs to the state that was set */

typedef enum step (*step_fn)(struct nx_json_scanner *s, uint8_t c);

static const char *const words[] = {"true", "false", "null"};

_Static_assert(sizeof((struct nx_json_scanner *)NULL)->nest * 8 >= MAX_NESTING, "a bit a level");

static enum step bad(struct nx_json_scanner *s, const char *reason)
{
    s->result = NX_SCAN_IMPOSSIBLE;
    s->reason = reason;
    return BAD;
}

static enum step go(struct nx_json_scanner *s, enum state state)
{
    s->state = (uint8_t)state;
    return TAKEN;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* --- structure -------------------------------------------------------------------------------- */

static bool in_object(const struct nx_json_scanner *s)
{
    unsigned level = s->depth - 1u;

    return s->depth > 0 && (s->nest[level / 8] >> (level % 8) & 1);
}

static enum step open_level(struct nx_json_scanner *s, bool is_object)
{
    uint8_t bit = (uint8_t)(1u << (s->depth % 8));

    if (s->depth == MAX_NESTING)
        return bad(s, "nesting deeper than 100 levels");
    if (is_object)
        s->nest[s->depth / 8] |= bit;
    else
        s->nest[s->depth / 8] &= (uint8_t)~bit;
    s->depth++;
    return go(s, is_object ? FIRST_KEY : FIRST_ELEMENT);
}

static enum step end_value(struct nx_json_scanner *s)
{
    return go(s, s->depth == 0 ? END : AFTER);
}

static enum step close_level(struct nx_json_scanner *s)
{
    s->depth--;
    return end_value(s);
}

static enum step begin_string(struct nx_json_scanner *s, uint8_t use)
{
    s->expect = use;
    return go(s, STRING);
}

static enum step begin_word(struct nx_json_scanner *s, uint8_t word)
{
    s->expect = word;
    s->literal_at = 1;
    return go(s, LITERAL);
}

static enum step begin_value(struct nx_json_scanner *s, uint8_t c)
{
    switch (c) {
    case '{':
        return open_level(s, true);
    case '[':
        return open_level(s, false);
    case '"':
        return begin_string(s, STRING_IS_VALUE);
    case 't':
        return begin_word(s, 0);
    case 'f':
        return begin_word(s, 1);
    case 'n':
        return begin_word(s, 2);
    case '-':
        return go(s, MINUS);
    case '0':
        return go(s, ZERO);
    default:
        return is_digit(c) ? go(s, INTEGER) : bad(s, "a value is expected");
    }
}

static enum step on_value(struct nx_json_scanner *s, uint8_t c)
{
    return is_space(c) ? TAKEN : begin_value(s, c);
}

static enum step on_first_element(struct nx_json_scanner *s, uint8_t c)
{
    return c == ']' ? close_level(s) : on_value(s, c);
}

static enum step on_key(struct nx_json_scanner *s, uint8_t c)
{
    if (is_space(c))
        return TAKEN;
    return c == '"' ? begin_string(s, STRING_IS_KEY) : bad(s, "a key in double quotes expected");
}

static enum step on_first_key(struct nx_json_scanner *s, uint8_t c)
{
    return c == '}' ? close_level(s) : on_key(s, c);
}

static enum step on_colon(struct nx_json_scanner *s, uint8_t c)
{
    if (is_space(c))
        return TAKEN;
    return c == ':' ? go(s, VALUE) : bad(s, "':' expected behind a key");
}

static enum step on_after(struct nx_json_scanner *s, uint8_t c)
{
    bool object = in_object(s);

    if (is_space(c))
        return TAKEN;
    if (c == ',')
        return go(s, object ? KEY : VALUE);
    if (c == (object ? '}' : ']'))
        return close_level(s);
    return bad(s, object ? "',' or '}' expected in an object" : "',' or ']' expected in an array");
}

static enum step on_end(struct nx_json_scanner *s, uint8_t c)
{
    return is_space(c) ? TAKEN : bad(s, "more text behind the end of the value");
}

/* --- strings ---------------------------------------------------------------------------------- */

static enum step expect_tail(struct nx_json_scanner *s, uint8_t need, uint8_t low, uint8_t high)
{
    s->utf8_need = need;
    s->utf8_low = low;
    s->utf8_high = high;
    return go(s, UTF8);
}

/* The first byte of a character past ASCII decides how many follow, and the range of the next. */
static enum step begin_utf8(struct nx_json_scanner *s, uint8_t c)
{
    if (c >= 0xc2 && c < 0xe0)
        return expect_tail(s, 1, 0x80, 0xbf);
    if (c == 0xe0)
        return expect_tail(s, 2, 0xa0, 0xbf);
    if (c == 0xed)
        return expect_tail(s, 2, 0x80, 0x9f);
    if (c > 0xe0 && c < 0xf0)
        return expect_tail(s, 2, 0x80, 0xbf);
    if (c == 0xf0)
        return expect_tail(s, 3, 0x90, 0xbf);
    if (c == 0xf4)
        return expect_tail(s, 3, 0x80, 0x8f);
    if (c > 0xf0 && c < 0xf4)
        return expect_tail(s, 3, 0x80, 0xbf);
    return bad(s, "the text is not UTF-8");
}

static enum step on_utf8(struct nx_json_scanner *s, uint8_t c)
{
    if (c < s->utf8_low || c > s->utf8_high)
        return bad(s, "the text is not UTF-8");
    s->utf8_low = 0x80;
    s->utf8_high = 0xbf;
    return --s->utf8_need == 0 ? go(s, STRING) : TAKEN;
}

static enum step on_string(struct nx_json_scanner *s, uint8_t c)
{
    if (c == '"')
        return s->expect == STRING_IS_KEY ? go(s, COLON) : end_value(s);
    if (c == '\\')
        return go(s, ESCAPE);
    if (c >= 0x80)
        return begin_utf8(s, c);
    return c < 0x20 ? bad(s, "a control character in a string") : TAKEN;
}

static enum step begin_hex(struct nx_json_scanner *s, uint32_t hex)
{
    s->hex = hex;
    s->literal_at = 0;
    return go(s, HEX);
}

static enum step on_escape(struct nx_json_scanner *s, uint8_t c)
{
    if (c == 'u')
        return begin_hex(s, 0);
    if (c == 0 || !strchr("\"\\/bfnrt", c))
        return bad(s, "an unknown escape in a string");
    return go(s, STRING);
}

static enum step end_hex(struct nx_json_scanner *s)
{
    uint32_t code = s->hex & 0xffff;
    bool is_low = code >= 0xdc00 && code < 0xe000;

    if (s->hex & EXPECTS_LOW)
        return is_low ? go(s, STRING)
                      : bad(s, "a high surrogate escape without a low one behind it");
    if (is_low)
        return bad(s, "a low surrogate escape without a high one before it");
    return go(s, code >= 0xd800 && code < 0xdc00 ? LOW_BACKSLASH : STRING);
}

static enum step on_hex(struct nx_json_scanner *s, uint8_t c)
{
    uint8_t letter = c | 0x20;
    uint32_t digit;

    if (is_digit(c))
        digit = c - '0';
    else if (letter >= 'a' && letter <= 'f')
        digit = letter - 'a' + 10u;
    else
        return bad(s, "a \\u escape needs four hexadecimal digits");
    s->hex = (s->hex & EXPECTS_LOW) | ((s->hex << 4 | digit) & 0xffff);
    return ++s->literal_at == 4 ? end_hex(s) : TAKEN;
}

static enum step on_low_backslash(struct nx_json_scanner *s, uint8_t c)
{
    return c == '\\' ? go(s, LOW_U) : bad(s, "a high surrogate escape without a low one behind it");
}

static enum step on_low_u(struct nx_json_scanner *s, uint8_t c)
{
    return c == 'u' ? begin_hex(s, EXPECTS_LOW)
                    : bad(s, "a high surrogate escape without a low one behind it");
}

/* --- words and numbers ------------------------------------------------------------------------ */

static enum step on_literal(struct nx_json_scanner *s, uint8_t c)
{
    const char *word = words[s->expect];

    if (c != (uint8_t)word[s->literal_at])
        return bad(s, "not true, false, null, a number, a string, an object or an array");
    return word[++s->literal_at] == '\0' ? end_value(s) : TAKEN;
}

/* A byte that cannot go on with the number: it ends there, and the byte is looked at again. */
static enum step end_number(struct nx_json_scanner *s)
{
    end_value(s);
    return AGAIN;
}

static enum step on_minus(struct nx_json_scanner *s, uint8_t c)
{
    if (c == '0')
        return go(s, ZERO);
    return is_digit(c) ? go(s, INTEGER) : bad(s, "a minus without a number");
}

static enum step on_zero(struct nx_json_scanner *s, uint8_t c)
{
    if (is_digit(c))
        return bad(s, "a number begins with a superfluous 0");
    if (c == '.')
        return go(s, POINT);
    return c == 'e' || c == 'E' ? go(s, EXPONENT) : end_number(s);
}

static enum step on_integer(struct nx_json_scanner *s, uint8_t c)
{
    return is_digit(c) ? TAKEN : on_zero(s, c);
}

static enum step on_point(struct nx_json_scanner *s, uint8_t c)
{
    return is_digit(c) ? go(s, FRACTION) : bad(s, "a number has no digits behind its point");
}

static enum step on_fraction(struct nx_json_scanner *s, uint8_t c)
{
    if (is_digit(c))
        return TAKEN;
    return c == 'e' || c == 'E' ? go(s, EXPONENT) : end_number(s);
}

static enum step on_exponent_sign(struct nx_json_scanner *s, uint8_t c)
{
    return is_digit(c) ? go(s, EXPONENT_DIGITS) : bad(s, "a number's exponent has no digits");
}

static enum step on_exponent(struct nx_json_scanner *s, uint8_t c)
{
    return c == '+' || c == '-' ? go(s, EXPONENT_SIGN) : on_exponent_sign(s, c);
}

static enum step on_exponent_digits(struct nx_json_scanner *s, uint8_t c)
{
    return is_digit(c) ? TAKEN : end_number(s);
}

static const step_fn steps[] = {
    [START] = on_value,
    [VALUE] = on_value,
    [FIRST_ELEMENT] = on_first_element,
    [FIRST_KEY] = on_first_key,
    [KEY] = on_key,
    [COLON] = on_colon,
    [AFTER] = on_after,
    [END] = on_end,
    [STRING] = on_string,
    [ESCAPE] = on_escape,
    [HEX] = on_hex,
    [LOW_BACKSLASH] = on_low_backslash,
    [LOW_U] = on_low_u,
    [UTF8] = on_utf8,
    [LITERAL] = on_literal,
    [MINUS] = on_minus,
    [ZERO] = on_zero,
    [INTEGER] = on_integer,
    [POINT] = on_point,
    [FRACTION] = on_fraction,
    [EXPONENT] = on_exponent,
    [EXPONENT_SIGN] = on_exponent_sign,
    [EXPONENT_DIGITS] = on_exponent_digits,
};

/* --- feeding ---------------------------------------------------------------------------------- */

void nx_json_scanner_init(struct nx_json_scanner *scanner)
{
    *scanner = (struct nx_json_scanner){.line = 1, .column = 1};
}

static void count_byte(struct nx_json_scanner *s, uint8_t c)
{
    if (c == '\n') {
        s->line++;
        s->column = 1;
    } else {
        s->column++;
    }
}

/* A number at the top level is whole wherever it may end, although more digits may follow. */
static enum nx_scan_state judge(const struct nx_json_scanner *s)
{
    switch (s->state) {
    case START:
        return NX_SCAN_EMPTY;
    case END:
        return NX_SCAN_COMPLETE;
    case ZERO:
    case INTEGER:
    case FRACTION:
    case EXPONENT_DIGITS:
        return s->depth == 0 ? NX_SCAN_COMPLETE : NX_SCAN_PARTIAL;
    default:
        return NX_SCAN_PARTIAL;
    }
}

/* Bytes from `p` that leave the state as it is: the inside of a string. */
static size_t step_over(struct nx_json_scanner *s, const uint8_t *p, size_t avail)
{
    size_t n = s->state == STRING ? json_plain_run(p, avail) : 0;

    s->column += (uint32_t)n;
    return n;
}

size_t nx_json_scanner_feed(struct nx_json_scanner *scanner, const char *text, size_t len,
                            bool stop_at_end)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t at = 0;

    if (scanner->result == NX_SCAN_IMPOSSIBLE)
        return 0;
    while (at < len && !(stop_at_end && scanner->state == END)) {
        enum step step;

        at += step_over(scanner, p + at, len - at);
        if (at == len)
            break;
        step = steps[scanner->state](scanner, p[at]);
        if (step == BAD)
            break;
        if (step == TAKEN)
            count_byte(scanner, p[at++]);
    }
    scanner->offset += at;
    if (scanner->result != NX_SCAN_IMPOSSIBLE)
        scanner->result = judge(scanner);
    return at;
}
