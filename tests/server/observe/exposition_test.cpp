#include "server/observe/exposition.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/metrics_text.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

std::string some_of_each(metrics_format format) {
  exposition to{format};
  to.begin("a_seconds", metric_type::counter, "Time.");
  to.put({}, 1.5);
  to.begin("never", metric_type::gauge, "Has no sample.");
  to.begin("b", metric_type::info, "What it is.");
  to.put({{"version", "1"}}, uint64_t{1});
  to.begin("c_bytes", metric_type::gauge, "Room.");
  to.put({{"a", "x"}, {"b", "y"}}, uint64_t{18446744073709551615U});
  to.put({{"a", "z"}, {"b", "y"}}, 0.001);
  return to.finish();
}

} // namespace

TEST_CASE("metrics: each type as Prometheus' text format 0.0.4 has it") {
  CHECK(some_of_each(metrics_format::prometheus)
        == "# HELP a_seconds_total Time.\n"
           "# TYPE a_seconds_total counter\n"
           "a_seconds_total 1.5\n"
           "# HELP b_info What it is.\n"
           "# TYPE b_info gauge\n"
           "b_info{version=\"1\"} 1\n"
           "# HELP c_bytes Room.\n"
           "# TYPE c_bytes gauge\n"
           "c_bytes{a=\"x\",b=\"y\"} 18446744073709551615\n"
           "c_bytes{a=\"z\",b=\"y\"} 0.001\n");
}

TEST_CASE("metrics: each type as OpenMetrics 1.0.0 has it") {
  CHECK(some_of_each(metrics_format::open_metrics)
        == "# HELP a_seconds Time.\n"
           "# TYPE a_seconds counter\n"
           "# UNIT a_seconds seconds\n"
           "a_seconds_total 1.5\n"
           "# HELP b What it is.\n"
           "# TYPE b info\n"
           "b_info{version=\"1\"} 1\n"
           "# HELP c_bytes Room.\n"
           "# TYPE c_bytes gauge\n"
           "# UNIT c_bytes bytes\n"
           "c_bytes{a=\"x\",b=\"y\"} 18446744073709551615\n"
           "c_bytes{a=\"z\",b=\"y\"} 0.001\n"
           "# EOF\n");
}

TEST_CASE("metrics: a histogram counts up to each bound, in seconds") {
  time_counts times;
  for (auto took : {500us, 501us, 9999ms + 1us, 10'001ms + 0us, 10'000ms + 0us})
    times.add(took);
  for (auto format : {metrics_format::prometheus, metrics_format::open_metrics}) {
    bool open = format == metrics_format::open_metrics;
    exposition to{format};
    to.begin("t_seconds", metric_type::histogram, "T.");
    to.put({{"of", "all"}}, times);
    auto text = to.finish();
    auto read = open ? read_open_metrics(text) : read_metrics(text);
    CHECK(read.faults == std::vector<std::string>{});
    CHECK(read.samples.size() == 17);
    CHECK(read.samples.at(R"(t_seconds_bucket{of="all",le="0.0005"})") == 1);
    CHECK(read.samples.at(open ? R"(t_seconds_bucket{of="all",le="1.0"})"
                               : R"(t_seconds_bucket{of="all",le="1"})")
          == 2);
    CHECK(read.samples.at(open ? R"(t_seconds_bucket{of="all",le="10.0"})"
                               : R"(t_seconds_bucket{of="all",le="10"})")
          == 4);
    CHECK(read.samples.at(R"(t_seconds_bucket{of="all",le="+Inf"})") == 5);
    CHECK(read.samples.at(R"(t_seconds_count{of="all"})") == 5);
    CHECK(read.samples.at(R"(t_seconds_sum{of="all"})") == doctest::Approx(30.001002));
  }
}

TEST_CASE("metrics: no text of a label or of a help ends it early") {
  for (auto format : {metrics_format::prometheus, metrics_format::open_metrics}) {
    exposition to{format};
    to.begin("a", metric_type::gauge, "Says \"\\\"\nand more");
    to.put({{"of", "q\" b\\ n\n}"}}, uint64_t{1});
    auto text = to.finish();
    CHECK(text.find("a{of=\"q\\\" b\\\\ n\\n}\"} 1\n") != text.npos);
    bool open = format == metrics_format::open_metrics;
    CHECK(text.starts_with(open ? "# HELP a Says \\\"\\\\\\\"\\nand more\n"
                                : "# HELP a Says \"\\\\\"\\nand more\n"));
    CHECK((open ? read_open_metrics(text) : read_metrics(text)).faults.empty());
  }
}

TEST_CASE("metrics: the reader of the tests sees what is against the formats") {
  const std::string good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
  CHECK(read_metrics(good).faults.empty());
  for (const std::string bad :
       {"a 1\n", "# TYPE a counter\na 1\n", "# TYPE a_total counter\na_total 1",
        "# TYPE a gauge\na 1\na 1\n", "# TYPE a gauge\na 1\n# TYPE a gauge\n",
        "# TYPE a gauge\na one\n", "# TYPE a gauge\na  1\n", "# TYPE a gauge\na{b=\"c} 1\n",
        "# TYPE a gauge\na{b=\"c\",b=\"d\"} 1\n", "# TYPE a gauge\na{b=\"\\x\"} 1\n",
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# HELP a A.\na{x=\"y\"} 1\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n",
        "# TYPE a gauge\na 1\n# EOF\n", "\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(read_metrics(bad).faults.empty());
  }
  CHECK(read_open_metrics("# TYPE a counter\na_total 1\n# EOF\n").faults.empty());
  for (const std::string bad :
       {"# TYPE a counter\na_total 1\n", "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a_total counter\na_total 1\n# EOF\n", "# TYPE a gauge\na 1\n# EOF\na 2\n",
        "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n"
        "# EOF\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(read_open_metrics(bad).faults.empty());
  }
}
