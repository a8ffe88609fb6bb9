// READER and INSPECTOR on virtual time: who is answered, who is dropped, and what is said of it.

#include "actors/reader.hpp"
#include "config/defaults.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/fake_ports.hpp"
#include "tests/support/lone_actor.hpp"
#include "tests/support/replies.hpp"

using namespace phi;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

struct failing_reader : fake_reader {
  query_answer answer(const reader_query&, work_watch& watch) override {
    ++asked;
    last_check = watch.check();
    return fails ? query_answer{error_code::questions_unavailable, "no connection", {}}
                 : query_answer{.body = "{}"};
  }
  bool fails = false;
  int asked = 0;
  end_cause last_check = end_cause::none;
};

struct reader_fixture {
  explicit reader_fixture(virtual_system& on)
    : reader(on, "reader", reader_behavior, reader_port_ptr{port}, duration{5s}) {}

  gone_flag ask(ticket to) {
    auto gone = somebody();
    question =
      std::make_shared<asked<reader_query>>(cluster_query{}, query_reply{replies, to}, gone);
    return gone;
  }
  void send() { reader.tell(atom::ask_v, std::exchange(question, nullptr)); }

  std::shared_ptr<failing_reader> port = std::make_shared<failing_reader>();
  std::shared_ptr<recorded_replies> replies = std::make_shared<recorded_replies>();
  asked_ptr<reader_query> question;
  lone_actor<reader_actor> reader;
};

} // namespace

TEST_CASE("reader: answers whom it can, and does nothing for an asker who has gone") {
  virtual_system on;
  reader_fixture h{on};
  h.ask(1);
  h.send();
  CHECK(h.replies->answers.at(1).body == "{}");
  CHECK(h.port->last_check == end_cause::none);
  h.ask(2)->store(true);
  h.send();
  CHECK(h.port->asked == 1);
  CHECK(h.replies->answers.at(2).error == error_code::query_timeout);
  auto says = h.reader.status();
  CHECK(says.gauges[0].count == 1);
  CHECK(says.gauges[1].count == 1);
}

TEST_CASE("reader: pressed by a stop it answers at once that the service stops") {
  virtual_system on;
  reader_fixture h{on};
  h.reader.seen_at->press(urge::at_once);
  h.ask(1);
  h.send();
  CHECK(h.port->asked == 0);
  CHECK(h.replies->answers.at(1).error == error_code::stopping);
}

TEST_CASE("reader: a database that cannot be asked is told for a while, and not for ever") {
  virtual_system on;
  reader_fixture h{on};
  h.port->fails = true;
  h.ask(1);
  h.send();
  CHECK(h.replies->answers.at(1).error == error_code::questions_unavailable);
  CHECK(h.reader.status().degraded == "no connection");
  on.advance(defaults::question_trouble_shown - 10ms);
  CHECK(h.reader.status().degraded == "no connection");
  on.advance(20ms);
  CHECK(h.reader.status().degraded.empty());
}

TEST_CASE("reader: stays for those before it, then closes its connection and leaves") {
  virtual_system on;
  reader_fixture h{on};
  h.reader.tell(atom::stop_v, stop_order{});
  h.ask(1);
  h.send();
  CHECK(h.replies->answers.at(1).body == "{}");
  h.reader.tell(atom::release_v, release_order{});
  CHECK(h.port->closed);
  CHECK(h.reader.gone());
  CHECK(h.reader.heard->stopped.at(0).did[0].count == 1);
}

TEST_CASE("inspector: takes long work, and leaves as the reader does") {
  virtual_system on;
  auto port = std::make_shared<fake_reader>();
  auto replies = std::make_shared<recorded_replies>();
  lone_actor<inspector_actor> inspector{on, "inspector", inspector_behavior, reader_port_ptr{port},
                                        duration{5s}};
  auto gone = somebody();
  inspector.tell(atom::ask_v, std::make_shared<asked<inspection_task>>(
                                verify_task{}, query_reply{replies, 4}, gone));
  CHECK(replies->answers.at(4).body == "{}");
  inspector.tell(atom::stop_v, stop_order{});
  inspector.tell(atom::release_v, release_order{});
  CHECK(port->closed);
  CHECK(inspector.gone());
}
