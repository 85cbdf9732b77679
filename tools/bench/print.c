/*
 * print.c - results as a table's rows, or as JSON, an object a line. One thread.
 */
#include <stdio.h>

#include "tools/bench/bench.h"
#include "tools/cli/cli.h"

/* Rounds that differ by more than this part of their median: something else ran. */
static const double noisy_spread = 0.5;

/* A figure of three or four digits, with commas above; "-" where there is none. */
static const char *
number(double value, char text[32])
{
    if (isnan(value))
        snprintf(text, 32, "-");
    else if (value >= 1e6)
        snprintf(text, 32, "%.0f,%03.0f,%03.0f", floor(value / 1e6), floor(fmod(value, 1e6) / 1e3),
                 floor(fmod(value, 1e3)));
    else if (value >= 1e4)
        snprintf(text, 32, "%.0f,%03.0f", floor(value / 1e3), floor(fmod(value, 1e3)));
    else
        snprintf(text, 32, "%.*f", value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 4, value);
    return text;
}

static const char *
must_text(const struct tri_bench_figure *figure, char text[32])
{
    static const char *const signs[] = {
        [TRI_BENCH_STATED] = "",        [TRI_BENCH_RATIO_MOST] = "ratio <= ", [TRI_BENCH_RATIO_LEAST] = "ratio >= ",
        [TRI_BENCH_VALUE_MOST] = "<= ", [TRI_BENCH_VALUE_LEAST] = ">= ",
    };

    if (figure->rule == TRI_BENCH_STATED)
        snprintf(text, 32, "stated");
    else
        snprintf(text, 32, "%s%g", signs[figure->rule], figure->must);
    return text;
}

void
tri_bench_print_header(struct tri_cli *cli)
{
    tri_print(cli, "%-17s %-5s %11s %10s %11s %10s %7s %7s %14s %6s %8s %8s\n", "case", "unit", "value", "p99", "limit",
              "its p99", "ratio", "spread", "must", "met", "cpu", "its cpu");
}

void
tri_bench_print_row(struct tri_cli *cli, const struct tri_bench_result *result)
{
    const struct tri_bench_figure *figure = result->figure;
    const char *shortfall = tri_bench_shortfall(result);
    char text[9][32];

    tri_print(cli, "%-17s %-5s %11s %10s %11s %10s %7s %6.0f%% %14s %6s %8s %8s%s\n", figure->name, figure->unit,
              number(result->value, text[0]), number(result->p99, text[1]), number(result->limit, text[2]),
              number(result->limit_p99, text[3]), number(result->ratio, text[4]), result->spread * 100,
              must_text(figure, text[5]), *shortfall == 0 ? "yes" : shortfall, number(result->cpu, text[6]),
              number(result->limit_cpu, text[7]), result->spread > noisy_spread ? "  noisy" : "");
}

/* ,"name":value; null where there is none. */
static void
print_member(struct tri_cli *cli, const char *name, double value)
{
    if (isfinite(value))
        tri_print(cli, ",\"%s\":%.6g", name, value);
    else
        tri_print(cli, ",\"%s\":null", name);
}

void
tri_bench_print_json(struct tri_cli *cli, const struct tri_bench_result *result)
{
    const struct tri_bench_figure *figure = result->figure;
    char text[32];

    tri_print(cli, "{\"case\":\"%s\",\"unit\":\"%s\"", figure->name, figure->unit);
    print_member(cli, "value", result->value);
    print_member(cli, "p99", result->p99);
    print_member(cli, "limit", result->limit);
    print_member(cli, "limit_p99", result->limit_p99);
    print_member(cli, "ratio", result->ratio);
    tri_print(cli, ",\"rounds\":%d", result->rounds);
    print_member(cli, "spread", result->spread);
    print_member(cli, "cpu", result->cpu);
    print_member(cli, "limit_cpu", result->limit_cpu);
    tri_print(cli, ",\"must\":\"%s\",\"met\":%s}\n", must_text(figure, text), result->met ? "true" : "false");
}
