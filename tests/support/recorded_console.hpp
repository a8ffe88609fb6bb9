#pragma once
/// A console that writes down what it is asked, and answers what the test says.

#include "tests/support/fake_ports.hpp"

#include <deque>
#include <string>
#include <vector>

namespace phi::testing {

struct recorded_console : fake_console {
  std::string log_level() const override { return level; }
  outcome set_log_level(const std::string& wanted) override {
    if (refusal)
      level = wanted;
    return refusal;
  }
  outcome trace_on(bool to_log, std::vector<std::string> actors, std::vector<std::string> messages,
                   bool user_data) override {
    traced = {to_log, std::move(actors), std::move(messages), user_data};
    tracing = static_cast<bool>(refusal);
    return refusal;
  }
  void trace_off() override { tracing = false; }
  trace_page read_trace(uint64_t from, size_t max_bytes) const override {
    trace_from = from;
    trace_bytes = max_bytes;
    return page;
  }
  std::vector<shown_setting> settings() const override {
    return {{"server.port", "3939", "default"}, {"logging.level", "debug", "phi.toml:3"}};
  }
  result<settings_difference> difference() const override {
    if (!refusal)
      return refusal;
    return settings_difference{{"logging.level"}, {"server.port"}};
  }
  std::vector<finding> examine(const std::optional<service_status>&) const override {
    using verdict = finding_verdict;
    return {{"a", verdict::ok, finding_code::none, "well", ""},
            {"b", verdict::warning, finding_code::state_directory_unwritable, "so so", "look"},
            {"c", verdict::bad, finding_code::none, "ill", "cure"}};
  }
  void ask(const std::string& path, const std::string& query_string, gone_flag asker_gone,
           std::function<void(query_answer)> then) override {
    asked_paths.push_back(path + "?" + query_string);
    gone = std::move(asker_gone);
    waiting.push_back(std::move(then));
  }
  void ask(operator_question question, gone_flag asker_gone,
           std::function<void(query_answer)> then) override {
    questions.push_back(std::move(question));
    gone = std::move(asker_gone);
    waiting.push_back(std::move(then));
  }
  health_view health() const override { return view; }
  std::string metrics(const std::optional<service_status>& status,
                      metrics_format format) const override {
    return (status ? std::string{to_string(status->state)} : "silent")
           + (format == metrics_format::open_metrics ? " 1" : " 0");
  }
  std::string lifecycle(std::string_view format) const override {
    return R"({"rows":[{"format":")" + std::string{format} + "\"}]}";
  }
  void ingest(std::string_view text, std::function<void(query_answer)> then) override {
    lines = text;
    waiting.push_back(std::move(then));
  }
  result<created_token> create_token(const std::string& name,
                                     const std::vector<std::string>& scopes,
                                     std::optional<int64_t> seconds, bool yes) override {
    confirmed = yes;
    token_seconds = seconds;
    if (!refusal)
      return refusal;
    return created_token{"s3cret", {"0123abcd", name, scopes, "2026-01-01T00:00:00Z"}, notice};
  }
  std::vector<shown_token> tokens() const override {
    return {{"1", "one", {"read"}, "c1"}, {"2", "two", {"admin", "ingest"}, "c2", "e2", true}};
  }
  outcome revoke_token(const std::string& id) override {
    revoked.push_back(id);
    return refusal;
  }
  double processor_ms(int thread) const override { return thread * 10.0; }
  std::string database_id() const override { return database; }
  std::vector<std::string> listeners() const override { return {"127.0.0.1:3939"}; }

  /// The answer to the oldest question that waits.
  void answer(query_answer with) {
    auto then = std::move(waiting.front());
    waiting.pop_front();
    then(std::move(with));
  }

  outcome refusal; ///< of whatever can be refused
  std::string level = "info";
  struct trace_wish {
    bool to_log = false;
    std::vector<std::string> actors;
    std::vector<std::string> messages;
    bool user_data = false;
  } traced;
  bool tracing = false;
  trace_page page;
  mutable uint64_t trace_from = 0;
  mutable size_t trace_bytes = 0;
  std::vector<std::string> asked_paths;
  std::vector<operator_question> questions;
  gone_flag gone; ///< of whoever asked last
  std::deque<std::function<void(query_answer)>> waiting;
  health_view view;
  std::string lines;
  std::string database = "d-1";
  std::string notice;
  bool confirmed = false;
  std::optional<int64_t> token_seconds;
  std::vector<std::string> revoked;
};

} // namespace phi::testing
