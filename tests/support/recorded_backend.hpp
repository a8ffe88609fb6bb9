#pragma once
/// The way to the actors, without any: keeps what comes until the test answers it.

#include "actors/ports/http_port.hpp"

#include <utility>
#include <vector>

namespace phi::testing {

struct recorded_backend : backend_port {
  void submit(ingest_turn_ptr turn) override { turns.push_back(std::move(turn)); }
  void ask(asked_ptr<reader_query> question) override { questions.push_back(std::move(question)); }
  void ask(asked_ptr<inspection_task> task) override { inspections.push_back(std::move(task)); }
  void ask(asked_ptr<spool_task> task) override { spool_tasks.push_back(std::move(task)); }
  void ask(asked_ptr<cluster_task> task) override { cluster_tasks.push_back(std::move(task)); }
  void ask(asked_ptr<health_query> question) override { healths.push_back(std::move(question)); }
  void ask(asked_ptr<service_query> question) override {
    service_questions.push_back(std::move(question));
  }
  health_view health() const override { return view; }

  /// Of all that waits for its answer.
  void forget() {
    turns.clear();
    questions.clear();
    inspections.clear();
    spool_tasks.clear();
    cluster_tasks.clear();
    healths.clear();
    service_questions.clear();
  }

  std::vector<ingest_turn_ptr> turns;
  std::vector<asked_ptr<reader_query>> questions;
  std::vector<asked_ptr<inspection_task>> inspections;
  std::vector<asked_ptr<spool_task>> spool_tasks;
  std::vector<asked_ptr<cluster_task>> cluster_tasks;
  std::vector<asked_ptr<health_query>> healths;
  std::vector<asked_ptr<service_query>> service_questions;
  health_view view;
};

} // namespace phi::testing
