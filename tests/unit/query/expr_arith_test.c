/* Arithmetic, trigonometry, bits, comparison and logic, with the types of their results. */
#include "expr_harness.h"

static void sums_widen_and_keep_the_type_of_their_operands(void **state)
{
    static const struct expr_case cases[] = {
        {"{\"$add\":[\"$a\",1]}", "{\"a\":2147483647}", "2147483648"},
        {"{\"$type\":{\"$add\":[\"$a\",1]}}", "{\"a\":2147483647}", "\"long\""},
        {"{\"$type\":{\"$add\":[\"$a\",1]}}", "{\"a\":9223372036854775807}", "\"double\""},
        {"{\"$add\":[\"$a\",\"$b\"]}", "{\"a\":0.1,\"b\":0.2}", "0.30000000000000004"},
        {"{\"$add\":[\"$a\",null]}", "{\"a\":1}", "null"},
        {"{\"$add\":[\"$a\",\"x\"]}", "{\"a\":1}", "!$add wants numbers, not string"},
        {"{\"$multiply\":[\"$a\",3]}", "{\"a\":2}", "6"},
        {"{\"$divide\":[\"$a\",0]}", "{\"a\":2}", "!$divide by zero"},
        {"{\"$subtract\":[\"$b\",\"$a\"]}",
         "{\"a\":{\"$date\":\"2020-01-01T00:00:00Z\"},\"b\":{\"$date\":\"2020-01-02T00:00:00Z\"}}",
         "86400000"},
        {"{\"$subtract\":[1]}", "{}", "!takes exactly 2 arguments, 1 given"},
        {"{\"$mod\":[\"$a\",2]}", "{\"a\":-3}", "-1"},
        {"{\"$pow\":[2,62]}", "{}", "4611686018427387904"},
        {"{\"$type\":{\"$pow\":[2,64]}}", "{}", "\"double\""},
        {"{\"$pow\":[0,-1]}", "{}", "!cannot raise 0"},
        {"{\"$abs\":\"$a\"}", "{\"a\":-2147483648}", "2147483648"},
    };

    (void)state;
    CHECK_CASES(cases);
}

static void rounding_breaks_ties_to_even_at_any_place(void **state)
{
    static const struct expr_case cases[] = {
        {"{\"$round\":[\"$a\",1]}", "{\"a\":1.25}", "1.2"},
        {"{\"$round\":[\"$a\",1]}", "{\"a\":2.35}", "2.4"},
        {"{\"$round\":\"$a\"}", "{\"a\":2.5}", "2.0"},
        {"{\"$round\":[\"$a\",-2]}", "{\"a\":1250}", "1200"},
        {"{\"$round\":[\"$a\",-2]}", "{\"a\":1350}", "1400"},
        {"{\"$trunc\":[\"$a\",1]}", "{\"a\":-1.29}", "-1.2"},
        {"{\"$ceil\":\"$a\"}", "{\"a\":-1.5}", "-1.0"},
        {"{\"$floor\":\"$a\"}", "{\"a\":-1.5}", "-2.0"},
        {"{\"$round\":[1.5,101]}", "{}", "!from -20 to 100"},
    };

    (void)state;
    CHECK_CASES(cases);
}

static void decimals_are_exact_to_34_digits(void **state)
{
#define DEC(text) "{\"$numberDecimal\":\"" text "\"}"
    static const struct expr_case cases[] = {
        {"{\"$add\":[\"$a\",\"$b\"]}", "{\"a\":" DEC("0.1") ",\"b\":" DEC("0.2") "}", DEC("0.3")},
        {"{\"$add\":[\"$a\",\"$b\"]}", "{\"a\":" DEC("1E+30") ",\"b\":" DEC("1") "}",
         DEC("1000000000000000000000000000001")},
        {"{\"$subtract\":[\"$a\",\"$b\"]}", "{\"a\":" DEC("1") ",\"b\":" DEC("1.25") "}",
         DEC("-0.25")},
        {"{\"$multiply\":[\"$a\",\"$a\"]}", "{\"a\":" DEC("9999999999999999999999999999999999") "}",
         DEC("9.999999999999999999999999999999998E+67")},
        {"{\"$divide\":[1,\"$a\"]}", "{\"a\":" DEC("3") "}",
         DEC("0.3333333333333333333333333333333333")},
        {"{\"$mod\":[\"$a\",\"$b\"]}", "{\"a\":" DEC("10.5") ",\"b\":" DEC("3") "}", DEC("1.5")},
        {"{\"$round\":[\"$a\",1]}", "{\"a\":" DEC("2.25") "}", DEC("2.2")},
        {"{\"$floor\":\"$a\"}", "{\"a\":" DEC("-2.25") "}", DEC("-3")},
        {"{\"$gt\":[\"$a\",\"$b\"]}", "{\"a\":" DEC("2") ",\"b\":1.5}", "true"},
    };

    (void)state;
    CHECK_CASES(cases);
}

static void comparisons_cross_types_and_logic_stops_early(void **state)
{
    static const struct expr_case cases[] = {
        {"{\"$lt\":[\"$a\",null]}", "{}", "true"},
        {"{\"$eq\":[\"$a\",null]}", "{}", "false"},
        {"{\"$gt\":[\"$a\",5]}", "{\"a\":\"x\"}", "true"},
        {"{\"$cmp\":[\"$a\",1]}", "{\"a\":0}", "-1"},
        {"{\"$and\":[\"$a\",{\"$divide\":[1,0]}]}", "{\"a\":0}", "false"},
        {"{\"$or\":[\"$a\",{\"$divide\":[1,0]}]}", "{\"a\":1}", "true"},
        {"{\"$not\":[1,2]}", "{}", "!takes exactly 1 argument, 2 given"},
        {"{\"$bitAnd\":[\"$a\",10]}", "{\"a\":12}", "8"},
        {"{\"$bitAnd\":[1.5,1]}", "{}", "!wants int and long only"},
        {"{\"$bitNot\":\"$a\"}", "{\"a\":5}", "-6"},
        {"{\"$acos\":2}", "{}", "!between -1 and 1"},
        {"{\"$sqrt\":-1}", "{}", "!not negative"},
        {"{\"$log\":[10,1]}", "{}", "!base other than 1"},
    };

    (void)state;
    CHECK_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_widen_and_keep_the_type_of_their_operands),
        cmocka_unit_test(rounding_breaks_ties_to_even_at_any_place),
        cmocka_unit_test(decimals_are_exact_to_34_digits),
        cmocka_unit_test(comparisons_cross_types_and_logic_stops_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
