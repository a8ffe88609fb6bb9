#pragma once
/// A spool in a directory of its own, for the tests of its file.

#include "server/store/spool/spool_file.hpp"
#include "tests/server/store/store_support.hpp"
#include "tests/support/doctest.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace phi::testing {

namespace fs = std::filesystem;
using json = nlohmann::json;
using store::make_sqlite_spool;

class spool_dir {
public:
  spool_dir() {
    char name[] = "/tmp/phi-spool-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~spool_dir() { fs::remove_all(path_); }
  spool_dir(const spool_dir&) = delete;
  std::string file(const std::string& suffix = "") const { return path_ + "/spool.db" + suffix; }
  spool_port_ptr spool() const { return make_sqlite_spool({file(), 1U << 30, 0}); }

  /// What is on disk now, as a kill would leave it.
  void copy_to(const spool_dir& other) const {
    for (const auto& entry : fs::directory_iterator{path_})
      fs::copy(entry.path(), fs::path{other.path_} / entry.path().filename());
  }

private:
  std::string path_;
};

/// Appends batches of `events` events each, with numbers from `first` on.
inline void fill(spool_port& spool, uint32_t first, uint32_t batches, uint32_t events = 10) {
  for (uint32_t i = 0; i < batches; ++i) {
    std::vector<event> list;
    for (uint32_t k = 0; k < events; ++k)
      list.push_back(make_event((first + i) * 100 + k));
    auto said = spool.append(*batch_of({list}));
    INFO(said.detail);
    REQUIRE(said.error == error_code::none);
  }
}

/// With all its steps.
inline query_answer answer_whole(spool_port& spool, const spool_task& task) {
  spool_progress so_far;
  for (;;)
    if (auto answer = spool.answer(task, so_far))
      return *answer;
}

inline json ask(spool_port& spool, const spool_task& task) {
  auto answer = answer_whole(spool, task);
  INFO(answer.detail);
  REQUIRE(answer.error == error_code::none);
  return json::parse(answer.body);
}

} // namespace phi::testing
