// Events as real senders have them, as lines of JSON: ids and sources, 40 routes that decide
// feature, action and method, log-normal durations, few users with much and many with little, more
// by day than by night. The same for the same seed but for the time they end at, which is now.

#include "protocol/text/rfc3339.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace {

struct wishes {
  size_t count = 0;
  double days = 30;
  uint64_t seed = 1;
  std::string order = "time";
  std::string shape = "real";
};

constexpr std::array features{"checkout", "search", "login",  "profile", "upload",
                              "export",   "chat",   "report", "billing", "admin"};
constexpr std::array actions{"create", "read", "update", "list"};
constexpr std::array statuses{200, 201, 304, 400, 404, 500, 503};
constexpr std::array status_weights{850, 50, 30, 30, 30, 7, 3};
constexpr size_t routes = 40;
constexpr size_t instances = 4;
constexpr double users = 50'000;
constexpr int64_t day_us = 86'400'000'000;

class generator {
public:
  explicit generator(const wishes& wanted)
    : wanted_(wanted),
      random_(wanted.seed),
      status_(status_weights.begin(), status_weights.end()) {
    std::vector<double> weights;
    for (size_t i = 0; i < routes; ++i)
      weights.push_back(1.0 / static_cast<double>(i + 1));
    route_ = std::discrete_distribution<size_t>{weights.begin(), weights.end()};
  }

  std::vector<int64_t> times() {
    auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                 std::chrono::system_clock::now().time_since_epoch())
                 .count()
               - 5'000'000;
    std::vector<int64_t> out;
    while (out.size() < wanted_.count) {
      auto at = now - static_cast<int64_t>(share() * wanted_.days * static_cast<double>(day_us));
      auto of_day = static_cast<double>(at % day_us) / static_cast<double>(day_us);
      if (wanted_.days < 1 || share() < 0.55 - 0.45 * std::cos(of_day * 2 * M_PI))
        out.push_back(at);
    }
    if (wanted_.order == "time")
      std::sort(out.begin(), out.end());
    return out;
  }

  std::string line(size_t number, int64_t time_us) {
    auto route = route_(random_);
    auto user = static_cast<uint64_t>(users * std::pow(share(), 3));
    auto path = wanted_.shape == "bomb" ? "/r/" + std::to_string(random_() % 1'000'000)
                                        : "/api/v2/things" + std::to_string(route) + "/:id";
    std::lognormal_distribution<double> duration{2.5 + static_cast<double>(route % 7) * 0.4, 0.6};
    char out[512];
    auto size = std::snprintf(
      out, sizeof out,
      R"({"id":"s%llu-%zu","source":"bench","time":"%s","feature":"%s","action":"%s","route":"%s",)"
      R"("method":"%s","status":%d,"durationMs":%.1f,"userHash":"%016llx%016llx",)"
      R"("userKind":"%s","instance":"web-%zu"})"
      "\n",
      static_cast<unsigned long long>(wanted_.seed), number, phi::format_rfc3339(time_us).c_str(),
      features[route % features.size()], actions[route / features.size()], path.c_str(),
      route % 3 == 0 ? "POST" : "GET", statuses[status_(random_)], duration(random_),
      static_cast<unsigned long long>(user * 0x9e3779b97f4a7c15ULL),
      static_cast<unsigned long long>((user + 7) * 0xd6e8feb86659fd93ULL),
      user % 3 == 0 ? "platform" : "session", number % instances);
    return {out, static_cast<size_t>(size)};
  }

private:
  double share() { return std::uniform_real_distribution<double>{}(random_); }

  const wishes& wanted_;
  std::mt19937_64 random_;
  std::discrete_distribution<size_t> route_;
  std::discrete_distribution<size_t> status_;
};

/// The event of earlier benchmarks: the same all the time, without an id.
constexpr const char* constant_line =
  R"({"feature":"images","action":"generate","route":"/image","method":"POST","status":200,)"
  R"("durationMs":123,"userHash":"0123456789abcdef0123456789abcdef","extra":{"k":"v"}})"
  "\n";

} // namespace

int main(int argc, char** argv) {
  wishes wanted;
  CLI::App app{"Writes events as lines of JSON."};
  app.add_option("count", wanted.count, "How many")->required();
  app.add_option("--days", wanted.days, "Over how many days up to now")->capture_default_str();
  app.add_option("--seed", wanted.seed, "Other events, other ids")->capture_default_str();
  app.add_option("--order", wanted.order, "time, or random as of a backfill")
    ->check(CLI::IsMember({"time", "random"}));
  app.add_option("--shape", wanted.shape, "real; bomb: a million routes; constant: no ids")
    ->check(CLI::IsMember({"real", "bomb", "constant"}));
  CLI11_PARSE(app, argc, argv);
  generator events{wanted};
  if (wanted.shape == "constant") {
    for (size_t i = 0; i < wanted.count; ++i)
      std::fputs(constant_line, stdout);
    return 0;
  }
  size_t number = 0;
  for (auto time_us : events.times()) {
    auto line = events.line(number++, time_us);
    std::fwrite(line.data(), 1, line.size(), stdout);
  }
}
