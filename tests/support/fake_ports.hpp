#pragma once
/// Everything that the actors stand on, in memory: with these the whole service runs on virtual
/// time in one thread.

#include "actors/service_graph.hpp"
#include "tests/support/spool_fixture.hpp"

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace phi::testing {

/// A database that counts each identity once.
struct fake_database : store_port {
  outcome open() override {
    ++opened;
    return refuses_to_open;
  }
  commit_result commit(commit_batch& batch) override {
    commit_result out{.number = batch.number};
    if (away || !batch.begin_commit()) {
      out.error = error_code::store_unavailable;
      return out;
    }
    for (const auto& request : batch.requests) {
      commit_result::counts counts;
      for (const auto& e : request.events)
        ++(stored.insert(e.feature).second ? counts.stored : counts.duplicates);
      out.requests.push_back(counts);
    }
    return out;
  }
  void apply_settings(const config&) override {}
  outcome close() override {
    closed = true;
    return {};
  }
  std::string activity() const override { return "idle"; }

  std::unordered_set<std::string> stored; ///< by their features, which are identities here
  outcome refuses_to_open;
  bool away = false;
  bool closed = false;
  int opened = 0;
};

struct fake_reader : reader_port {
  outcome open() override { return {}; }
  query_answer answer(const reader_query&, work_watch&) override { return {.body = "{}"}; }
  query_answer answer(const inspection_task&, work_watch&) override { return {.body = "{}"}; }
  void apply_settings(const config&) override {}
  void close() override { closed = true; }
  bool closed = false;
};

struct fake_maintenance : maintenance_port {
  done step() override {
    ++steps;
    return {};
  }
  counted count() override { return {}; }
  void apply_settings(const config&) override {}
  void close() override {}
  int steps = 0;
};

struct fake_cluster : cluster_port {
  result<heard> beat(const report& report) override {
    states.push_back(report.state);
    return heard{.leads = true};
  }
  query_answer answer(const cluster_task&) override { return {}; }
  void apply_settings(const config&) override {}
  void leave() override { left = true; }
  std::vector<service_state> states;
  bool left = false;
};

/// A listener without connections.
struct fake_listener : http_port {
  outcome open(std::function<void()> on_drained) override {
    drained = std::move(on_drained);
    open_now = true;
    return {};
  }
  void set_ready(bool) override {}
  void apply_settings(config_ptr) override {}
  void stop_accepting() override {
    open_now = false;
    if (drained)
      drained();
  }
  void escalate() override {}
  void cut() override {}
  http_counts counts() const override { return {}; }
  std::vector<loop_life> loops_alive() override { return {{.accepts = open_now}}; }
  void release_handles() override { drained = {}; }
  std::vector<std::string> addresses() const override { return {"127.0.0.1:3939"}; }

  std::function<void()> drained;
  bool open_now = false;
};

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

struct fake_signals : signal_port {
  void attach(std::function<void(const heard_signal&)> to) override { handler = std::move(to); }
  std::function<void(const heard_signal&)> handler;
};

struct fake_admin_socket : admin_port {
  outcome open(std::function<void(admin_request_ptr)> to) override {
    handler = std::move(to);
    return {};
  }
  void release_handles() override { handler = {}; }
  std::function<void(admin_request_ptr)> handler;
};

struct fake_ports {
  std::shared_ptr<fake_database> database = std::make_shared<fake_database>();
  std::shared_ptr<fake_reader> reader = std::make_shared<fake_reader>();
  std::shared_ptr<fake_reader> inspector = std::make_shared<fake_reader>();
  std::shared_ptr<fake_disk> spool = std::make_shared<fake_disk>();
  std::shared_ptr<fake_maintenance> maintenance = std::make_shared<fake_maintenance>();
  std::shared_ptr<fake_cluster> cluster = std::make_shared<fake_cluster>();
  std::shared_ptr<fake_listener> listener = std::make_shared<fake_listener>();
  std::shared_ptr<fake_watch> watch = std::make_shared<fake_watch>();
  std::shared_ptr<fake_signals> signals = std::make_shared<fake_signals>();
  std::shared_ptr<fake_admin_socket> admin = std::make_shared<fake_admin_socket>();

  /// As on PostgreSQL with a spool, or as on the embedded database.
  service_ports all(bool with_postgres) const {
    service_ports out{.store = database,
                      .reader = reader,
                      .inspector = inspector,
                      .http = listener,
                      .watch = watch,
                      .console = std::make_shared<fake_console>(),
                      .signals = signals,
                      .admin = admin};
    if (with_postgres) {
      out.spool = spool;
      out.maintenance = maintenance;
      out.cluster = cluster;
    }
    return out;
  }
};

} // namespace phi::testing
