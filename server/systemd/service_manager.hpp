#pragma once
/// What we tell the service manager (sd_notify(3)), and what it has told us in the environment.

#include "protocol/platform/descriptor.hpp"
#include "protocol/time.hpp"

#include <mutex>
#include <optional>
#include <string>

namespace phi::systemd {

/// All functions are thread-safe, never block but for `barrier`, and do nothing without a manager.
///
/// The messages are sent by ourselves and not by libsystemd, because sd_notify() and its barrier
/// block when the manager does not read, and nothing may hold up a stop. What could not be sent
/// goes with the next message.
class service_manager {
public:
  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  service_manager();
  service_manager(const service_manager&) = delete;

  bool present() const { return static_cast<bool>(socket_); }

  /// How long it waits for a sign of life; nothing: it does not ask for any.
  std::optional<duration> watchdog_limit() const { return watchdog_limit_; }

  void ready(const std::string& status);
  void reloading(const std::string& status);
  void stopping(const std::string& status);
  void status(const std::string& text);
  /// Who is late; shown behind the status until it is empty again.
  void late(const std::string& text);
  /// Asks it to wait for `more` from now for the end of the start or of the stop.
  void extend(duration more);
  void beat();
  /// As if the watchdog's time were over: it ends the process and starts it anew.
  void trigger();

  /// Waits until it has read everything, `limit` at most.
  void barrier(std::chrono::milliseconds limit);

private:
  void send(const std::string& lines);
  /// One datagram, with `descriptor` unless it is negative. False: errno says why.
  bool send_now(const std::string& message, int descriptor) const;
  std::string status_line() const;

  owned_fd socket_;
  std::string address_;
  std::optional<duration> watchdog_limit_;
  std::mutex mutex_;
  std::string unsent_;
  std::string text_;
  std::string late_;
  std::string shown_; ///< the last STATUS= sent
};

} // namespace phi::systemd
