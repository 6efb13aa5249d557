/*
 * number.h - the text of numbers: doubles read correctly rounded, written in their shortest form.
 *
 * The host program's locale does not matter. Threads: any.
 */
#ifndef DOC_NUMBER_H
#define DOC_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_BYTES 32 /* room for any text that the writers make, without a NUL */

/*
 * The double nearest to `text`, which follows JSON's number grammar (leading zeros and a missing
 * minus aside); Infinity past the range. `len` may be of any size.
 */
double number_parse_double(const char *text, size_t len);
/* The same for mantissa * 10^exp10, where `text` is its whole spelling, used when that is needed.
 */
double number_make_double(uint64_t mantissa, int exp10, const char *text, size_t len);

/*
 * The shortest text that reads back as `v`, which is finite; always with a '.' or an exponent:
 * "5.0", "1e-07", "1.5e+300" (the spelling of Python's repr). Returns its length.
 */
size_t number_write_double(double v, char *out);
size_t number_write_int64(int64_t v, char *out);

#endif
