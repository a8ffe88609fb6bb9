#pragma once
/// A service that has gone bad: it answers every method of the admin socket with all that phictl
/// shows, and each text in it steers a terminal.

#include <nlohmann/json.hpp>

#include <atomic>
#include <cstring>
#include <map>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace phi::testing {

/// Escape sequences, a line of its own, C1, the direction of writing, DEL.
inline const std::string steering_text = "evil\033[2J\nforged\xc2\x9b"
                                         "1mc\xe2\x80\xae\x7f\a\r";

/// Whether a text that was printed steers a terminal, or has a line that others made.
inline bool steers(const std::string& printed) {
  for (unsigned char c : printed)
    if ((c < 0x20 && c != '\n') || c == 0x7f)
      return true;
  for (auto part : {"\xc2\x9b", "\xe2\x80\xae", "\nforged"})
    if (printed.find(part) != printed.npos)
      return true;
  return false;
}

class hostile_service {
public:
  using json = nlohmann::ordered_json;

  /// `refuses`: an error for every question, in the same words.
  hostile_service(const std::string& socket, bool refuses) : refuses_(refuses) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, socket.data(), socket.size());
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0
        || ::listen(fd_, 16) != 0)
      throw std::runtime_error{"cannot listen at " + socket};
    answering_ = std::thread{[this] { answer_all(); }};
  }
  ~hostile_service() {
    ended_ = true;
    answering_.join();
    ::close(fd_);
    for (const auto& [peer, rest] : rest_of_)
      ::close(peer);
  }
  hostile_service(const hostile_service&) = delete;

private:
  static json answer_to(const json& question) {
    const auto& e = steering_text;
    auto method = question.value("method", "");
    auto path = question["params"].value("path", "");
    json counted{{"date", e},  {"feature", e}, {"route", e},    {"method", e}, {"status", e},
                 {"count", 1}, {"action", e},  {"instance", e}, {"lastAt", e}};
    if (path == "/stats/daily")
      return json::array({counted});
    if (path == "/stats/daily/features")
      return {{"rows", json::array({counted})}};
    json timed{{"bucket", e}, {"date", e},  {"feature", e}, {"route", e},  {"method", e},
               {"key", e},    {"total", 1}, {"events", 1},  {"p95Ms", 1.5}};
    if (path == "/stats/daily/dau" || path == "/stats/latency")
      return {{"rows", json::array({timed})}};
    if (path == "/stats/daily/http")
      return {{"totals", json::array({timed})}, {"routes", json::array({timed})}};
    if (path == "/stats/series")
      return {{"rows", json::array({timed})}, {"totals", timed}, {"keys", json::array({timed})}};
    if (path == "/stats/summary")
      return {{"timezone", e},
              {"firstEventAt", e},
              {"features", json::array({counted})},
              {"routes", json::array({counted})},
              {"methods", json::array({counted})},
              {"statusCodes", json::array({counted})},
              {"instances", json::array({counted})},
              {"actions", json::array({counted})},
              {"uniqueUsers", {{"total", 1}, {"byKind", json::array({json::array({e, 1})})}}},
              {"latency", {{"sampleCount", 1}, {"avgMs", 1.5}, {"note", e}}}};
    if (method == "events")
      return {{"events", json::array({{{"time", e}, {"feature", e}, {"action", e}}})}, {"last", 1}};
    if (method == "lifecycle")
      return {{"rows", json::array({{{"at", e}, {"until", e}, {"kind", e}, {"detail", e}}})}};
    if (method == "trace-read")
      return {{"lines", json::array({"{}"})}, {"note", e}};
    auto all = everything();
    if (method == "spool-replay" || method == "spool" || method == "backup")
      all["events"] = 1;
    return all;
  }

  static json everything() {
    const auto& e = steering_text;
    json says{
      {"doing", e}, {"idle", false}, {"degraded", e}, {"last", e}, {"gauges", json::object()}};
    json one{{"actor", e},
             {"state", e},
             {"says", says},
             {"after", json::array({e})},
             {"budgetMs", 1},
             {"what", e},
             {"verdict", e},
             {"text", e},
             {"remedy", e},
             {"key", e},
             {"value", e},
             {"origin", e},
             {"id", e},
             {"name", e},
             {"scopes", json::array({e})},
             {"created", e},
             {"expires", e},
             {"batch", 1},
             {"events", 1},
             {"takenAt", e},
             {"why", e},
             {"instance", e},
             {"version", e},
             {"startedAt", e},
             {"index", 0},
             {"lastCommitAt", e},
             {"code", e},
             {"pointer", e},
             {"message", e},
             {"rows", 1}};
    json out{{"state", e},
             {"version", e},
             {"stateDirectory", e},
             {"listeners", json::array({e})},
             {"level", e},
             {"before", e},
             {"stop", {{"mode", e}, {"reason", e}}},
             {"causes", json::array({e})},
             {"secret", e},
             {"id", e},
             {"scopes", json::array({e})},
             {"expires", e},
             {"notice", e},
             {"file", e},
             {"oldestAt", e},
             {"ledger", {{"received", 1}, {"note", e}}},
             {"requeued", e},
             {"note", e}};
    for (auto list : {"actors", "settings", "examined", "tokens", "checks", "setAside", "damaged",
                      "missing", "instances", "rejected"})
      out[list] = json::array({one});
    for (auto list : {"changed", "needsRestart", "warnings", "live"})
      out[list] = json::array({e});
    return out;
  }

  void answer_all() {
    while (!ended_) {
      std::vector<pollfd> waiting{{fd_, POLLIN, 0}};
      for (const auto& [peer, rest] : rest_of_)
        waiting.push_back({peer, POLLIN, 0});
      ::poll(waiting.data(), waiting.size(), 50);
      if (waiting[0].revents != 0)
        rest_of_[::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)] = "";
      for (size_t i = 1; i < waiting.size(); ++i)
        if (waiting[i].revents != 0)
          serve(waiting[i].fd);
    }
  }

  void serve(int peer) {
    char text[65536];
    auto size = ::read(peer, text, sizeof text);
    if (size <= 0) {
      ::close(peer);
      rest_of_.erase(peer);
      return;
    }
    auto& rest = rest_of_[peer];
    rest.append(text, static_cast<size_t>(size));
    for (size_t end = 0; (end = rest.find('\n')) != rest.npos; rest.erase(0, end + 1)) {
      auto question = json::parse(rest.substr(0, end));
      json answer{{"jsonrpc", "2.0"}, {"id", question["id"]}};
      if (refuses_)
        answer["error"] = {{"code", 1}, {"message", steering_text}};
      else
        answer["result"] = answer_to(question);
      auto line = answer.dump() + "\n";
      [[maybe_unused]] auto sent = ::send(peer, line.data(), line.size(), MSG_NOSIGNAL);
    }
  }

  bool refuses_;
  int fd_ = -1;
  std::map<int, std::string> rest_of_; ///< what each peer has sent of a line
  std::atomic<bool> ended_{false};
  std::thread answering_;
};

} // namespace phi::testing
