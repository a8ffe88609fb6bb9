// Random faults from a seed against both databases side by side, with exact accounts.

#include "tests/soak/faults.hpp"
#include "tests/soak/senders.hpp"

#include <cstdlib>
#include <cstring>
#include <iostream>

using namespace phi::soak;
using steady = std::chrono::steady_clock;

namespace {

struct wanted {
  double minutes = 3;
  uint64_t seed = 0;
  bool only_sqlite = false;
  bool only_postgres = false;
  std::string without; ///< names of faults, divided by commas
};

/// A fault, when it comes, and its own chance.
struct drawn {
  fault what;
  int after_ms;
  uint64_t seed;
};

std::vector<drawn> draw(soaked_service& at, befalls whom, chance& by, int most,
                        const std::string& without) {
  std::vector<fault> some;
  for (auto& one : faults_of(at, whom))
    if (("," + without + ",").find("," + one.name + ",") == std::string::npos)
      some.push_back(std::move(one));
  std::vector<drawn> out;
  for (int n = by.between(0, most); n > 0 && !some.empty(); --n)
    out.push_back({by.of(some), by.between(0, 1500), by.next()});
  return out;
}

std::string names(const std::vector<drawn>& some) {
  std::string out;
  for (const auto& one : some)
    out += (out.empty() ? "" : ", ") + one.what.name;
  return out.empty() ? "-" : out;
}

void run_all(soaked_service& at, const std::vector<drawn>& some) {
  for (const auto& one : some) {
    std::this_thread::sleep_for(std::chrono::milliseconds{one.after_ms});
    chance by{one.seed};
    try {
      one.what.run(at, by);
    } catch (const std::exception& e) {
      at.wrong(one.what.name + ": " + e.what());
    }
  }
}

/// Phases until the time is over or something is wrong.
void live(soaked_service& at, const wanted& with, std::map<std::string, int>& counts,
          std::mutex& guard) {
  chance by{with.seed * 2 + static_cast<uint64_t>(at.kind())};
  auto end = steady::now() + std::chrono::duration<double, std::ratio<60>>{with.minutes};
  for (int number = 1; steady::now() < end && at.findings().empty(); ++number) {
    at.begin("phase" + std::to_string(number));
    auto to_process = draw(at, befalls::process, by, 2, with.without);
    auto to_world = draw(at, befalls::world, by, 3, with.without);
    {
      std::lock_guard lock{guard};
      std::cout << at.name() << " " << at.phase() << ": process: " << names(to_process)
                << "; world: " << names(to_world) << "\n"
                << std::flush;
      for (const auto* some : {&to_process, &to_world})
        for (const auto& one : *some)
          ++counts[one.what.name];
    }
    senders load{at, by.next()};
    std::thread beside{[&] { run_all(at, to_world); }};
    run_all(at, to_process);
    beside.join();
    by.wait_ms(300, 600);
    load.finish();
    at.settle();
  }
  at.close();
}

wanted read_arguments(const std::vector<std::string>& words) {
  wanted out;
  out.seed = std::random_device{}() % 1'000'000;
  for (size_t i = 0; i < words.size(); ++i) {
    auto value = i + 1 < words.size() ? words[i + 1] : "";
    if (words[i] == "--minutes")
      out.minutes = std::stod(value), ++i;
    else if (words[i] == "--seed")
      out.seed = std::stoull(value), ++i;
    else if (words[i] == "--without")
      out.without = value, ++i;
    else if (words[i] == "--only")
      (value == "sqlite" ? out.only_sqlite : out.only_postgres) = true, ++i;
    else
      throw std::invalid_argument("soak [--minutes N] [--seed S] [--only sqlite|postgres] "
                                  "[--without FAULT,FAULT...]");
  }
  return out;
}

bool report(soaked_service& at) {
  auto all = at.all();
  std::cout << at.name() << ": " << all.acknowledged << " acknowledged, " << all.refused
            << " refused, " << all.unknown << " with an unknown outcome, " << all.forbidden
            << " refused by the database; " << at.findings().size() << " findings\n";
  for (const auto& one : at.findings())
    std::cout << "WRONG " << at.name() << " " << one << "\n";
  return at.findings().empty();
}

bool soak(const wanted& with) {
  std::cout << "seed " << with.seed << ", " << with.minutes << " minutes\n";
  std::vector<std::unique_ptr<soaked_service>> services;
  if (!with.only_postgres)
    services.push_back(std::make_unique<soaked_service>(database::sqlite, with.minutes));
  if (!with.only_sqlite)
    services.push_back(std::make_unique<soaked_service>(database::postgres, with.minutes));
  std::map<std::string, int> counts;
  std::mutex guard;
  std::vector<std::thread> lives;
  for (auto& one : services)
    lives.emplace_back([&] { live(*one, with, counts, guard); });
  for (auto& one : lives)
    one.join();
  std::cout << "seed " << with.seed << "; faults:";
  for (const auto& [name, n] : counts)
    std::cout << " " << name << " " << n << ";";
  std::cout << "\n";
  bool good = true;
  for (auto& one : services)
    good = report(*one) && good;
  return good;
}

} // namespace

int main(int count, char** arguments) {
  try {
    return soak(read_arguments({arguments + 1, arguments + count})) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 2;
  }
}
