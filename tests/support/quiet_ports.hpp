#pragma once
/// Ports through which nothing comes: for a service that nobody watches and no operator asks.

#include "actors/ports/admin_port.hpp"
#include "actors/ports/console_port.hpp"
#include "actors/ports/watch_port.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace phi::testing {

struct fake_watch : watch_port {
  std::optional<duration> manager_limit() const override { return std::nullopt; }
  void beat() override { ++beats; }
  void show_late(const std::string& text) override { late = text; }
  void show_health(const health_view& view) override { health = view; }
  void give_up(const std::string& actor) override { given_up = actor; }
  std::optional<thread_times> times_of(int) const override { return std::nullopt; }
  duration suspended() const override { return {}; }
  int beats = 0;
  std::string late;
  std::string given_up;
  health_view health;
};

struct fake_console : console_port {
  std::string log_level() const override { return "info"; }
  outcome set_log_level(const std::string&) override { return {}; }
  outcome trace_on(bool, std::vector<std::string>, std::vector<std::string>, bool) override {
    return {};
  }
  void trace_off() override {}
  trace_page read_trace(uint64_t, size_t) const override { return {}; }
  std::vector<shown_setting> settings() const override { return {}; }
  result<settings_difference> difference() const override { return settings_difference{}; }
  std::vector<finding> examine(const std::optional<service_status>&) const override { return {}; }
  void ask(const std::string&, const std::string&, gone_flag,
           std::function<void(query_answer)>) override {}
  void ask(operator_question, gone_flag, std::function<void(query_answer)>) override {}
  health_view health() const override { return {}; }
  std::string metrics(const std::optional<service_status>&, metrics_format) const override {
    return {};
  }
  std::string lifecycle(std::string_view) const override { return R"({"rows":[]})"; }
  void ingest(std::string_view, std::function<void(query_answer)>) override {}
  result<created_token> create_token(const std::string&, const std::vector<std::string>&,
                                     std::optional<int64_t>, bool) override {
    return created_token{};
  }
  std::vector<shown_token> tokens() const override { return {}; }
  outcome revoke_token(const std::string&) override { return {}; }
  double processor_ms(int) const override { return 0; }
  std::string state_directory() const override { return "/nonexistent"; }
  std::string run_id() const override { return "run"; }
  std::string database_id() const override { return "database"; }
  std::vector<std::string> listeners() const override { return {}; }
};

struct fake_admin_socket : admin_port {
  outcome open(std::function<void(admin_request_ptr)> to) override {
    handler = std::move(to);
    return {};
  }
  void release_handles() override { handler = {}; }
  std::function<void(admin_request_ptr)> handler;
};

} // namespace phi::testing
