#include "server/systemd/unit_limits.hpp"

#include "config/defaults.hpp"
#include "protocol/platform/process.hpp"

#include <systemd/sd-bus.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace phi::systemd {
namespace {

constexpr auto manager = "org.freedesktop.systemd1";
constexpr auto manager_path = "/org/freedesktop/systemd1";
constexpr auto manager_interface = "org.freedesktop.systemd1.Manager";
constexpr auto unit_interface = "org.freedesktop.systemd1.Unit";
constexpr auto service_interface = "org.freedesktop.systemd1.Service";

using bus_ptr = std::unique_ptr<sd_bus, sd_bus* (*)(sd_bus*)>;
using message_ptr = std::unique_ptr<sd_bus_message, sd_bus_message* (*)(sd_bus_message*)>;

/// Whether the connection is made in time. A call would wait for it however long that takes.
bool is_connected_within(sd_bus* bus, duration limit) {
  for (auto end = clock::now() + limit; ::sd_bus_is_ready(bus) <= 0;) {
    int more = ::sd_bus_process(bus, nullptr);
    auto left = (end - clock::now()) / std::chrono::microseconds{1};
    if (more < 0 || left <= 0)
      return false;
    if (more == 0)
      ::sd_bus_wait(bus, static_cast<uint64_t>(left));
  }
  return true;
}

bus_ptr open_bus() {
  sd_bus* opened = nullptr;
  if (::sd_bus_open_system(&opened) < 0)
    return {nullptr, &::sd_bus_close_unref};
  bus_ptr bus{opened, &::sd_bus_close_unref};
  if (!is_connected_within(opened, defaults::manager_answer_timeout))
    return {nullptr, &::sd_bus_close_unref};
  auto limit = std::chrono::microseconds{defaults::manager_answer_timeout};
  ::sd_bus_set_method_call_timeout(opened, static_cast<uint64_t>(limit.count()));
  return bus;
}

std::string object_path(message_ptr answer) {
  const char* path = nullptr;
  return ::sd_bus_message_read(answer.get(), "o", &path) < 0 ? "" : path;
}

std::string text_property(sd_bus* bus, const std::string& path, const char* name,
                          const char* interface = unit_interface) {
  char* text = nullptr;
  if (::sd_bus_get_property_string(bus, manager, path.c_str(), interface, name, nullptr, &text) < 0)
    return {};
  std::unique_ptr<char, void (*)(void*)> owner{text, &std::free};
  return text;
}

std::optional<duration> limit_property(sd_bus* bus, const std::string& path, const char* name) {
  uint64_t value = 0;
  if (::sd_bus_get_property_trivial(bus, manager, path.c_str(), service_interface, name, nullptr,
                                    't', &value)
        < 0
      || value == 0 || value == UINT64_MAX)
    return std::nullopt;
  return std::chrono::microseconds{value};
}

bool is_on(sd_bus* bus, const std::string& path, const char* name) {
  int value = 0;
  return ::sd_bus_get_property_trivial(bus, manager, path.c_str(), service_interface, name, nullptr,
                                       'b', &value)
           >= 0
         && value != 0;
}

std::string path_of_unit(sd_bus* bus, const std::string& name) {
  sd_bus_message* answer = nullptr;
  if (::sd_bus_call_method(bus, manager, manager_path, manager_interface, "LoadUnit", nullptr,
                           &answer, "s", name.c_str())
      < 0)
    return {};
  return object_path({answer, &::sd_bus_message_unref});
}

bool listens(sd_bus* bus, const std::string& socket) {
  auto path = path_of_unit(bus, socket);
  return !path.empty()
         && (text_property(bus, path, "ActiveState") == "active"
             || text_property(bus, path, "UnitFileState") == "enabled");
}

/// The first socket unit that listens for it.
std::string socket_of(sd_bus* bus, const std::string& path) {
  char** names = nullptr;
  if (::sd_bus_get_property_strv(bus, manager, path.c_str(), unit_interface, "TriggeredBy", nullptr,
                                 &names)
      < 0)
    return {};
  std::string out;
  for (char** name = names; name && *name; ++name) {
    if (out.empty() && std::string_view{*name}.ends_with(".socket") && listens(bus, *name))
      out = *name;
    std::free(*name);
  }
  std::free(names);
  return out;
}

std::optional<unit_limits> read_limits(sd_bus* bus, const std::string& path) {
  if (path.empty())
    return std::nullopt;
  auto name = text_property(bus, path, "Id");
  if (!name.ends_with(".service") || text_property(bus, path, "LoadState") != "loaded")
    return std::nullopt;
  return unit_limits{.unit = name,
                     .start = limit_property(bus, path, "TimeoutStartUSec"),
                     .stop = limit_property(bus, path, "TimeoutStopUSec"),
                     .watchdog = limit_property(bus, path, "WatchdogUSec"),
                     .group = text_property(bus, path, "Group", service_interface),
                     .private_users = is_on(bus, path, "PrivateUsers"),
                     .socket = socket_of(bus, path)};
}

} // namespace

std::optional<unit_limits> limits_of_own_unit() {
  auto bus = open_bus();
  sd_bus_message* answer = nullptr;
  if (!bus
      || ::sd_bus_call_method(bus.get(), manager, manager_path, manager_interface, "GetUnitByPID",
                              nullptr, &answer, "u", static_cast<uint32_t>(process_id()))
           < 0)
    return std::nullopt;
  return read_limits(bus.get(), object_path({answer, &::sd_bus_message_unref}));
}

std::optional<unit_limits> limits_of_unit(const std::string& name) {
  auto bus = open_bus();
  return bus ? read_limits(bus.get(), path_of_unit(bus.get(), name)) : std::nullopt;
}

} // namespace phi::systemd
