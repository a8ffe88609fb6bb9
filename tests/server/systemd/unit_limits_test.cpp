// What the service manager says of a unit, on a bus that the test plays.

#include "config/defaults.hpp"
#include "protocol/platform/sockets.hpp"
#include "server/systemd/unit_limits.hpp"
#include "tests/support/doctest.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/temp_dir.hpp"

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <variant>
#include <vector>

using namespace phi;
using namespace phi::systemd;
using namespace phi::testing;
using namespace std::chrono_literals;

namespace {

using property = std::variant<std::string, uint64_t, bool, std::vector<std::string>>;
using properties = std::map<std::string, property>;

constexpr uint64_t infinity = UINT64_MAX;

/// A unit as it is when nothing is set.
properties unit(const std::string& id, properties more = {}) {
  more.insert({{"Id", id},
               {"LoadState", "loaded"},
               {"ActiveState", "inactive"},
               {"UnitFileState", "disabled"},
               {"TriggeredBy", std::vector<std::string>{}},
               {"TimeoutStartUSec", uint64_t{90'000'000}},
               {"TimeoutStopUSec", uint64_t{90'000'000}},
               {"WatchdogUSec", uint64_t{0}},
               {"Group", ""},
               {"PrivateUsers", false}});
  return more;
}

/// A system bus with a service manager.
class fake_bus {
public:
  /// `own`: the unit of this process. Whom it does not know is an error.
  fake_bus(std::string own, std::map<std::string, properties> units)
    : own_(std::move(own)),
      units_(std::move(units)),
      thread_([this] { run(); }) {}
  ~fake_bus() {
    over_ = true;
    thread_.join();
  }
  fake_bus(const fake_bus&) = delete;

private:
  static constexpr const char* root = "/unit/";

  void run() {
    while (!over_)
      if (wait_until_ready(listener_.get(), interest::input, 10ms))
        serve(owned_fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)});
  }

  void serve(owned_fd client) {
    sd_bus* bus = nullptr;
    ::sd_bus_new(&bus);
    int fd = client.release();
    ::sd_bus_set_fd(bus, fd, fd);
    ::sd_bus_set_server(bus, 1, sd_id128_t{});
    ::sd_bus_add_filter(bus, nullptr, &on_message, this);
    for (int more = ::sd_bus_start(bus); more >= 0 && !over_;) {
      more = ::sd_bus_process(bus, nullptr);
      if (more == 0)
        more = ::sd_bus_wait(bus, 10'000);
    }
    ::sd_bus_close(bus);
    ::sd_bus_unref(bus);
  }

  static int on_message(sd_bus_message* message, void* self, sd_bus_error*) {
    return static_cast<fake_bus*>(self)->answer(message);
  }

  int answer(sd_bus_message* message) const {
    const char* text = nullptr;
    uint32_t process = 0;
    if (::sd_bus_message_is_method_call(message, "org.freedesktop.DBus", "Hello") > 0)
      return ::sd_bus_reply_method_return(message, "s", ":1.1");
    constexpr auto manager = "org.freedesktop.systemd1.Manager";
    if (::sd_bus_message_is_method_call(message, manager, "GetUnitByPID") > 0
        && ::sd_bus_message_read(message, "u", &process) > 0
        && process == static_cast<uint32_t>(::getpid()))
      return path(message, own_);
    if (::sd_bus_message_is_method_call(message, manager, "LoadUnit") > 0
        && ::sd_bus_message_read(message, "s", &text) > 0)
      return path(message, text);
    const char* interface = nullptr;
    if (::sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Get") > 0
        && ::sd_bus_message_read(message, "ss", &interface, &text) > 0)
      return value(message, text);
    return 0;
  }

  int path(sd_bus_message* message, const std::string& name) const {
    size_t number = 0;
    for (const auto& [known, all] : units_) {
      if (known == name)
        return ::sd_bus_reply_method_return(message, "o", (root + std::to_string(number)).c_str());
      ++number;
    }
    return ::sd_bus_reply_method_errorf(message, "org.freedesktop.systemd1.NoSuchUnit", "none");
  }

  int value(sd_bus_message* message, const std::string& name) const {
    auto number = std::stoul(std::string{::sd_bus_message_get_path(message)}.substr(6));
    const auto& all = std::next(units_.begin(), static_cast<ptrdiff_t>(number))->second;
    auto found = all.find(name);
    if (found == all.end())
      return ::sd_bus_reply_method_errorf(message, SD_BUS_ERROR_UNKNOWN_PROPERTY, "none");
    if (const auto* text = std::get_if<std::string>(&found->second))
      return ::sd_bus_reply_method_return(message, "v", "s", text->c_str());
    if (const auto* count = std::get_if<uint64_t>(&found->second))
      return ::sd_bus_reply_method_return(message, "v", "t", *count);
    if (const auto* is_on = std::get_if<bool>(&found->second))
      return ::sd_bus_reply_method_return(message, "v", "b", static_cast<int>(*is_on));
    const auto& list = std::get<std::vector<std::string>>(found->second);
    sd_bus_message* reply = nullptr;
    ::sd_bus_message_new_method_return(message, &reply);
    ::sd_bus_message_open_container(reply, 'v', "as");
    ::sd_bus_message_open_container(reply, 'a', "s");
    for (const auto& one : list)
      ::sd_bus_message_append(reply, "s", one.c_str());
    ::sd_bus_message_close_container(reply);
    ::sd_bus_message_close_container(reply);
    int sent = ::sd_bus_send(::sd_bus_message_get_bus(message), reply, nullptr);
    ::sd_bus_message_unref(reply);
    return sent < 0 ? sent : 1;
  }

  temp_dir dir_;
  owned_fd listener_ = listen_at(dir_.path("bus"));
  scoped_variable address_{"DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + dir_.path("bus")).c_str()};
  std::string own_;
  std::map<std::string, properties> units_; ///< by the names that they are loaded by
  std::atomic<bool> over_{false};
  std::thread thread_;
};

} // namespace

TEST_CASE("unit limits: of our own unit, as the manager has them") {
  fake_bus bus{"own",
               {{"own", unit("mine.service", {{"TimeoutStartUSec", uint64_t{45'000'000}},
                                              {"TimeoutStopUSec", uint64_t{46'500'000}},
                                              {"WatchdogUSec", uint64_t{90'000'000}},
                                              {"Group", "operators"},
                                              {"PrivateUsers", true}})},
                {"phi-backend.service", unit("phi-backend.service")}}};
  auto limits = limits_of_own_unit();
  REQUIRE(limits);
  CHECK(limits->unit == "mine.service");
  CHECK(limits->start == duration{45s});
  CHECK(limits->stop == duration{46500ms});
  CHECK(limits->watchdog == duration{90s});
  CHECK(limits->group == "operators");
  CHECK(limits->private_users);
  CHECK(limits->socket == "");
  auto other = limits_of_unit("phi-backend.service");
  REQUIRE(other);
  CHECK(other->unit == "phi-backend.service");
  CHECK(other->group == "");
  CHECK_FALSE(other->private_users);
}

TEST_CASE("unit limits: 0 and infinity are none") {
  fake_bus bus{"",
               {{"u", unit("u.service", {{"TimeoutStartUSec", infinity},
                                         {"TimeoutStopUSec", uint64_t{0}},
                                         {"WatchdogUSec", infinity}})}}};
  auto limits = limits_of_unit("u");
  REQUIRE(limits);
  CHECK_FALSE(limits->start);
  CHECK_FALSE(limits->stop);
  CHECK_FALSE(limits->watchdog);
}

TEST_CASE("unit limits: the socket unit is the first that listens now, or will at the next start") {
  std::vector<std::string> triggers{"a.timer", "off.socket", "none.socket"};
  std::map<std::string, properties> units{
    {"a.timer", unit("a.timer", {{"ActiveState", "active"}})},
    {"off.socket", unit("off.socket")},
    {"active.socket", unit("active.socket", {{"ActiveState", "active"}})},
    {"enabled.socket", unit("enabled.socket", {{"UnitFileState", "enabled"}})}};
  auto socket_of = [&](const std::vector<std::string>& more) {
    auto all = triggers;
    all.insert(all.end(), more.begin(), more.end());
    units["u"] = unit("u.service", {{"TriggeredBy", all}});
    fake_bus bus{"", units};
    return limits_of_unit("u").value().socket;
  };
  CHECK(socket_of({}) == "");
  CHECK(socket_of({"active.socket", "enabled.socket"}) == "active.socket");
  CHECK(socket_of({"enabled.socket", "active.socket"}) == "enabled.socket");
}

TEST_CASE("unit limits: of what is no service, or not installed, nothing is known") {
  fake_bus bus{"session",
               {{"session", unit("session-1.scope")},
                {"gone.service", unit("gone.service", {{"LoadState", "not-found"}})}}};
  CHECK_FALSE(limits_of_own_unit()); // started by a person
  CHECK_FALSE(limits_of_unit("gone.service"));
  CHECK_FALSE(limits_of_unit("unheard-of.service"));
}

TEST_CASE("unit limits: without a bus, or one that ends, nothing is known") {
  temp_dir dir;
  auto address = "unix:path=" + dir.path("bus");
  scoped_variable at{"DBUS_SYSTEM_BUS_ADDRESS", address.c_str()};
  CHECK_FALSE(limits_of_own_unit());
  CHECK_FALSE(limits_of_unit("phi-backend.service"));
  auto listener = listen_at(dir.path("bus"));
  std::thread hangs_up{[&] { owned_fd{::accept(listener.get(), nullptr, nullptr)}; }};
  CHECK_FALSE(limits_of_own_unit());
  hangs_up.join();
}

TEST_CASE("unit limits: a bus that does not answer is waited for no longer than it may take") {
  temp_dir dir;
  auto address = "unix:path=" + dir.path("bus");
  scoped_variable at{"DBUS_SYSTEM_BUS_ADDRESS", address.c_str()};
  auto mute = listen_at(dir.path("bus")); // the system takes the connection, nobody answers
  auto began = clock::now();
  CHECK_FALSE(limits_of_own_unit());
  auto took = clock::now() - began;
  CHECK(took >= defaults::manager_answer_timeout);
  CHECK(took < defaults::manager_answer_timeout + 3s);
}
