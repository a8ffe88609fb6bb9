/// Runs of the whole service from seeds: README.md says what holds and how to read what it prints.

#include "tests/simulation/run.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

using namespace phi;
using namespace phi::simulation;

namespace {

constexpr size_t lines_shown = 60;

struct wishes {
  uint64_t seed = 1;
  uint64_t seeds = 1;
  double minutes = 0; ///< 0: as many seeds as asked for
  size_t steps = SIZE_MAX;
  bool tells = false;
  std::string trace = "simulation-trace.json";
  std::optional<std::set<size_t>> only;
};

constexpr auto usage =
  "usage: simulate [--seed N] [--seeds M | --minutes T] [--steps S] [--only PLACES] [--tell]\n"
  "                [--trace FILE]\n"
  "Runs the service from M seeds, from N on. A run that fails is made smaller, told, and written\n"
  "to FILE for Perfetto. --only 0,3: the first and the fourth happening of the seed and no "
  "other.\n";

/// The real clock: the machine's is virtual, also for the standard library.
double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::set<size_t> read_places(const std::string& text) {
  std::set<size_t> out;
  for (size_t at = 0; at < text.size();) {
    size_t used = 0;
    out.insert(std::stoul(text.substr(at), &used));
    at += used + 1;
  }
  return out;
}

wishes read_wishes(int count, char** words) {
  wishes out;
  for (int i = 1; i < count; ++i) {
    std::string word = words[i];
    auto value = [&]() -> std::string {
      if (i + 1 >= count)
        throw std::invalid_argument(word + " needs a value");
      return words[++i];
    };
    if (word == "--seed")
      out.seed = std::stoull(value());
    else if (word == "--seeds")
      out.seeds = std::stoull(value());
    else if (word == "--minutes")
      out.minutes = std::stod(value());
    else if (word == "--steps")
      out.steps = std::stoull(value());
    else if (word == "--only")
      out.only = read_places(value());
    else if (word == "--tell")
      out.tells = true;
    else if (word == "--trace")
      out.trace = value();
    else
      throw std::invalid_argument(word + " is no option");
  }
  return out;
}

void print_plan(const plan& chosen) {
  std::cout << "  " << (chosen.postgres ? "PostgreSQL" : "embedded database") << ", "
            << chosen.instances << " instance(s), " << chosen.clients.size() << " clients:";
  for (const auto& one : chosen.clients)
    std::cout << " " << to_string(one.kind);
  const auto& stop = chosen.settings.shutdown;
  std::cout << "\n  shutdown.timeout_secs " << stop.timeout_secs << ", force_delay_secs "
            << stop.force_delay_secs << ", force_quit " << stop.force_quit << "\n";
  for (size_t i = 0; i < chosen.happenings.size(); ++i)
    std::cout << "  " << i << ": " << show(chosen.happenings[i]) << "\n";
}

void print_lines(const run_result& result, size_t most) {
  auto from = result.lines.size() > most ? result.lines.size() - most : 0;
  if (from > 0)
    std::cout << "  ... " << from << " lines before these\n";
  for (auto i = from; i < result.lines.size(); ++i)
    std::cout << "  " << result.lines[i] << "\n";
}

/// Makes it smaller, and tells all that is known of it.
void tell_failure(const plan& chosen, const run_result& failed, const wishes& wanted) {
  std::cout << "FAILED seed " << chosen.seed << "\n";
  auto places = fewest_happenings(chosen, failed, {.most_steps = wanted.steps});
  auto smaller = only(chosen, places);
  auto result =
    run(smaller, {.most_steps = wanted.steps, .trace_file = wanted.trace, .tells = true});
  std::string list;
  for (auto place : places)
    list += (list.empty() ? "" : ",") + std::to_string(place);
  print_plan(chosen);
  std::cout << "  of these " << places.size() << " are needed: simulate --seed " << chosen.seed
            << " --tell --only '" << list << "'; the trace is in " << wanted.trace << "\n";
  print_lines(result, lines_shown);
  for (const auto& one : result.found)
    std::cout << "  " << one.checker << ": " << one.text << "\n";
  std::cout << std::flush;
}

struct account {
  uint64_t seeds = 0;
  uint64_t failed = 0;
  uint64_t steps = 0;
  double lived = 0; ///< virtual seconds
  std::map<happening_kind, uint64_t> happened;
  std::map<client_kind, uint64_t> clients;
  std::map<exit_code, uint64_t> codes;

  void add(const run_result& result) {
    ++seeds;
    failed += !result.good();
    steps += result.steps;
    lived += std::chrono::duration<double>(result.lasted).count();
    for (auto kind : result.happened)
      ++happened[kind];
    for (auto kind : result.clients)
      ++clients[kind];
    for (auto code : result.codes)
      ++codes[code];
  }
};

void print_account(const account& all, double took) {
  std::printf("%llu seeds, %llu failed, %.0f seeds a minute, %.0f virtual seconds, %llu steps\n",
              static_cast<unsigned long long>(all.seeds),
              static_cast<unsigned long long>(all.failed),
              static_cast<double>(all.seeds) / took * 60, all.lived,
              static_cast<unsigned long long>(all.steps));
  std::string missing;
  std::cout << "runs with:";
  for (size_t i = 0; i < happening_kinds; ++i) {
    auto kind = static_cast<happening_kind>(i);
    auto found = all.happened.find(kind);
    if (found == all.happened.end())
      missing += " " + std::string{to_string(kind)};
    else
      std::cout << " " << to_string(kind) << " " << found->second;
  }
  std::cout << "\nclients:";
  for (const auto& [kind, runs] : all.clients)
    std::cout << " " << to_string(kind) << " " << runs;
  std::cout << "\nexits:";
  for (const auto& [code, runs] : all.codes)
    std::cout << " " << to_string(code) << " " << runs;
  std::cout << "\nfault kinds covered: " << all.happened.size() << " of " << happening_kinds
            << (missing.empty() ? "" : "; not:" + missing) << "\n";
}

int simulate(const wishes& wanted) {
  account all;
  auto began = seconds_now();
  for (uint64_t i = 0;
       wanted.minutes > 0 ? seconds_now() - began < wanted.minutes * 60 : i < wanted.seeds; ++i) {
    auto chosen = make_plan(wanted.seed + i);
    auto asked = wanted.only ? only(chosen, *wanted.only) : chosen;
    auto result = run(asked, {.most_steps = wanted.steps, .tells = wanted.tells});
    all.add(result);
    if (wanted.tells)
      print_lines(result, SIZE_MAX);
    if (!result.good())
      tell_failure(asked, result, wanted);
    if (all.failed == 5)
      break; // that is enough to read
  }
  print_account(all, seconds_now() - began);
  return all.failed > 0 ? 1 : 0;
}

} // namespace

int main(int count, char** words) {
  wishes wanted;
  try {
    wanted = read_wishes(count, words);
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n" << usage;
    return 2;
  }
  return simulate(wanted);
}
