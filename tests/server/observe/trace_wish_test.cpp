// What the environment wants traced.

#include "server/observe/trace_wish.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/recorded_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/text_file.hpp"

using namespace phi;
using namespace phi::testing;

namespace {

struct wishing {
  /// Whether it traces.
  bool with(const char* wish) {
    where.set(wish);
    trace_recorder trace;
    trace_if_asked(trace);
    return trace.is_on();
  }

  recorded_log log;
  scoped_variable where{"PHI_TRACE"};
  scoped_variable actors{"PHI_TRACE_ACTORS"};
  scoped_variable messages{"PHI_TRACE_MESSAGES"};
  scoped_variable content{"PHI_TRACE_CONTENT"};
};

} // namespace

TEST_CASE("trace wish: not without one, and not when it says no") {
  wishing at;
  CHECK_FALSE(at.with(nullptr));
  for (const auto* no : {"", "0", "no", "off", "false"})
    CHECK_FALSE(at.with(no));
  CHECK(at.log.text().empty());
  for (const auto* yes : {"1", "yes", "on", "true", "log"})
    CHECK(at.with(yes));
}

TEST_CASE("trace wish: a file is one by its dot or its slash, anything else is said to be wrong") {
  wishing at;
  temp_dir dir;
  CHECK(at.with(dir.path("trace").c_str()));
  CHECK(text_in(dir.path("trace")).starts_with("["));
  CHECK_FALSE(at.log.contains("see PHI_TRACE"));
  CHECK_FALSE(at.with("2"));
  CHECK(at.log.contains("trace PHI_TRACE=2 is neither 1 nor a file such as trace.json; goes on"
                        " without, see PHI_TRACE"));
  CHECK_FALSE(at.with(dir.path("missing/trace.json").c_str()));
  CHECK(at.log.count("goes on without, see PHI_TRACE") == 2);
}

TEST_CASE("trace wish: names narrow it, and a name that there is not ends it") {
  wishing at;
  at.actors.set(",store,,stats,");
  at.messages.set("commit");
  CHECK(at.with("1"));
  at.actors.set("store,stoer");
  CHECK_FALSE(at.with("1"));
  CHECK(at.log.contains("stoer"));
  at.actors.set(nullptr);
  at.messages.set("comit");
  CHECK_FALSE(at.with("1"));
  CHECK(at.log.contains("comit"));
}
