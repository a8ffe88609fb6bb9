#include "tests/soak/account.hpp"

#include <nlohmann/json.hpp>

#include <set>

namespace phi::soak {

void account::sent(const std::vector<std::string>& ids, fate until_answered) {
  std::lock_guard lock{mutex_};
  for (const auto& id : ids)
    events_.try_emplace(id, until_answered);
}

bool account::answered(const std::vector<std::string>& ids, const testing::http_answer& answer) {
  std::lock_guard lock{mutex_};
  ++answers_[answer.status];
  if (answer.status == 200 || answer.status == 202) {
    acknowledge(ids, answer.body);
    return true;
  }
  if (answer.status == 503)
    return false;
  bool lost = answer.status == 0 || answer.body.find("outcome_unknown") != answer.body.npos;
  if (!lost && surprises_.size() < 5)
    surprises_.push_back("an answer " + std::to_string(answer.status) + ": " + answer.body);
  for (const auto& id : ids)
    if (auto& now = events_[id]; now == fate::refused)
      now = fate::unknown;
  return false;
}

void account::acknowledge(const std::vector<std::string>& ids, const std::string& body) {
  std::set<size_t> rejected;
  auto parsed = nlohmann::json::parse(body, nullptr, false);
  if (parsed.is_object() && parsed.contains("rejected"))
    for (const auto& one : parsed["rejected"])
      rejected.insert(one.value("index", size_t{0}));
  for (size_t i = 0; i < ids.size(); ++i)
    if (auto& now = events_[ids[i]]; now != fate::forbidden && !rejected.contains(i))
      now = fate::acknowledged;
}

account::totals account::count() const {
  std::lock_guard lock{mutex_};
  totals out;
  for (const auto& [id, now] : events_) {
    out.acknowledged += now == fate::acknowledged;
    out.refused += now == fate::refused;
    out.unknown += now == fate::unknown;
    out.forbidden += now == fate::forbidden;
  }
  return out;
}

std::map<int, uint64_t> account::answers() const {
  std::lock_guard lock{mutex_};
  return answers_;
}

std::vector<std::string> account::differences(const testing::question& ask,
                                              const std::string& feature) const {
  auto stored = testing::stored_actions(ask, feature);
  std::lock_guard lock{mutex_};
  auto out = surprises_;
  std::map<std::string, std::pair<uint64_t, std::string>> found; // what -> how many, one of them
  auto count = [&](const std::string& what, const std::string& id) {
    auto& [n, one] = found[what];
    ++n;
    one = id;
  };
  for (const auto& [id, now] : events_) {
    auto there = stored.find(id);
    int times = there == stored.end() ? 0 : there->second;
    if (times > 1)
      count("stored twice", id);
    if (now == fate::acknowledged && times == 0)
      count("acknowledged and not stored", id);
    if (now == fate::refused && times > 0)
      count("refused and stored", id);
    if (now == fate::forbidden && times > 0)
      count("stored though the database refuses them", id);
  }
  for (const auto& [id, times] : stored)
    if (!events_.contains(id))
      count("stored and never sent", id);
  for (const auto& [what, example] : found)
    out.push_back(std::to_string(example.first) + " events " + what + ", such as "
                  + example.second);
  return out;
}

} // namespace phi::soak
