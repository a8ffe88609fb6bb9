#include "server/http/http_server.hpp"

#include "actors/log.hpp"
#include "protocol/platform/descriptor.hpp"
#include "server/http/event_loop.hpp"
#include "server/platform/listener.hpp"
#include "server/platform/open_files.hpp"

#include <atomic>
#include <mutex>
#include <vector>

namespace phi::http {
namespace {

void add(const http_counts& part, http_counts& to) {
  for (auto member : {&http_counts::connections, &http_counts::in_flight, &http_counts::requests,
                      &http_counts::refused, &http_counts::rate_limited, &http_counts::accepted,
                      &http_counts::reset_before_accept, &http_counts::failed_accepts,
                      &http_counts::held_back, &http_counts::made_room})
    to.*member += part.*member;
  for (size_t i = 0; i < part.by_class.size(); ++i)
    to.by_class[i] += part.by_class[i];
  for (size_t kind = 0; kind < part.took.size(); ++kind) {
    for (size_t i = 0; i < part.took[kind].in.size(); ++i)
      to.took[kind].in[i] += part.took[kind].in[i];
    to.took[kind].total += part.took[kind].total;
  }
}

class http_server : public http_port {
public:
  http_server(const config& settings, std::string salt, std::shared_ptr<backend_port> backend,
              std::shared_ptr<const api::token_store> tokens, std::vector<owned_fd> inherited)
    : shared_(new loop_shared{settings, 1, std::move(salt), settings.server.max_connections,
                              route_table{settings.api.prefix, settings.stats.enabled},
                              std::move(tokens), std::move(backend)}),
      inherited_(!inherited.empty()),
      listeners_(std::move(inherited)) {}

  outcome open(std::function<void()> drained) override {
    {
      std::lock_guard lock{mutex_};
      drained_ = std::move(drained);
    }
    if (!loops_.empty())
      return {};
    if (auto opened = inherited_ ? check_inherited() : open_own(); !opened) {
      if (!inherited_)
        listeners_.clear(); // for another try
      return opened;
    }
    count_places();
    shared_->loops = static_cast<size_t>(shared_->settings.server.threads);
    // Each loop serves every address: whichever clients take, all places are theirs.
    for (size_t i = 0; i < shared_->loops; ++i) {
      std::vector<owned_fd> its;
      for (const auto& listener : listeners_)
        its.push_back(duplicate(listener.get()));
      loops_.push_back(make_event_loop(shared_));
      if (auto started = loops_.back()->start(std::move(its), inherited_); !started)
        return started;
    }
    for (const auto& listener : listeners_)
      announce(address_of(listener.get()));
    return {};
  }

  void apply_settings(config_ptr settings) override {
    for (auto& loop : loops_)
      loop->apply_settings(settings);
  }

  void release_handles() override {
    std::lock_guard lock{mutex_};
    drained_ = {};
  }

  void set_ready(bool ready) override {
    shared_->ready = ready;
    if (ready)
      shared_->started = true;
  }

  void stop_accepting() override {
    if (accepts_no_more_.exchange(true))
      return;
    listeners_.clear(); // each loop closes its own copy
    {
      std::lock_guard lock{mutex_};
      loops_to_drain_ = loops_.size();
    }
    for (auto& loop : loops_)
      loop->stop_accepting([this] { one_drained(); });
    if (loops_.empty())
      report_drained();
  }

  void escalate() override {
    for (auto& loop : loops_)
      loop->escalate();
  }

  void cut() override {
    for (auto& loop : loops_)
      loop->cut();
  }

  std::vector<std::string> addresses() const override {
    std::lock_guard lock{mutex_};
    return addresses_;
  }

  http_counts counts() const override {
    http_counts out;
    for (const auto& loop : loops_)
      add(loop->counts(), out);
    return out;
  }

  std::vector<loop_life> loops_alive() override {
    std::vector<loop_life> out;
    for (const auto& loop : loops_)
      out.push_back(loop->life());
    return out;
  }

  std::vector<waited> waits() const override {
    std::vector<waited> out;
    for (const auto& loop : loops_)
      for (auto& wait : loop->waits())
        out.push_back(std::move(wait));
    return out;
  }

private:
  outcome open_own() {
    const auto& server = shared_->settings.server;
    if (server.host != "localhost") {
      auto bound = bind_at(server.host, static_cast<uint16_t>(server.port));
      return bound ? listen_on_all() : bound;
    }
    // The name has two addresses, and clients take whichever they like. Both are ours before
    // anybody can connect to one: who came early would be reset if the other is taken.
    if (auto bound = bind_at("127.0.0.1", static_cast<uint16_t>(server.port)); !bound)
      return bound;
    if (bind_listener("::1", 0)) // else a machine without IPv6
      if (auto bound = bind_at("::1", address_of(listeners_.front().get()).port); !bound)
        return bound;
    return listen_on_all();
  }

  outcome bind_at(const std::string& host, uint16_t port) {
    auto bound = bind_listener(host, port);
    if (!bound)
      return outcome::failure(bound.why());
    listeners_.push_back(std::move(*bound));
    return {};
  }

  outcome listen_on_all() const {
    for (const auto& listener : listeners_)
      if (auto listens = listen_on(listener.get()); !listens)
        return listens;
    return {};
  }

  void announce(const bound_address& at) {
    {
      std::lock_guard lock{mutex_};
      bool v6 = at.host.find(':') != std::string::npos;
      addresses_.push_back((v6 ? "[" + at.host + "]" : at.host) + ":" + std::to_string(at.port));
    }
    log_info(
      "http", "listens",
      {{"host", at.host}, {"port", at.port}, {"loops", shared_->loops}, {"inherited", inherited_}});
  }

  /// The rule that check_config applies to server.host, for addresses that a socket unit chose.
  outcome check_inherited() const {
    const auto& auth = shared_->settings.auth;
    for (const auto& listener : listeners_)
      if (auto at = address_of(listener.get());
          !at.loopback && auth.token.empty() && !auth.allow_anonymous && !shared_->tokens->needed())
        return outcome::failure(
          "the socket unit listens on " + at.host + ":" + std::to_string(at.port)
          + ", which lets other machines in, and there is no auth.token; set one, or use"
            " ListenStream=127.0.0.1:"
          + std::to_string(at.port) + ", or say auth.allow_anonymous = true");
    return {};
  }

  /// Each connection is an open file, and the rest of the service needs some.
  void count_places() {
    auto wanted = shared_->settings.server.max_connections;
    auto limit = raise_open_files();
    shared_->places = connections_within(wanted, limit);
    if (shared_->places < wanted)
      log_warn("http", "takes fewer connections than server.max_connections",
               {{"places", shared_->places},
                {"max_connections", wanted},
                {"open_files", limit},
                {"advice", "set LimitNOFILE=" + std::to_string(open_files_for(wanted))
                             + " or lower server.max_connections"}});
  }

  void one_drained() {
    std::unique_lock lock{mutex_};
    if (--loops_to_drain_ > 0)
      return;
    lock.unlock();
    report_drained();
  }

  void report_drained() {
    std::unique_lock lock{mutex_};
    auto tell = drained_;
    lock.unlock();
    if (tell)
      tell();
  }

  std::shared_ptr<loop_shared> shared_;
  bool inherited_;
  std::vector<owned_fd> listeners_;
  mutable std::mutex mutex_;
  std::vector<std::string> addresses_;
  std::function<void()> drained_;
  size_t loops_to_drain_ = 0;
  std::atomic<bool> accepts_no_more_{false};
  std::vector<std::unique_ptr<event_loop>> loops_;
};

} // namespace

http_port_ptr make_http_server(const config& settings, std::string salt,
                               std::shared_ptr<backend_port> backend,
                               std::shared_ptr<const api::token_store> tokens,
                               std::vector<owned_fd> inherited) {
  return std::make_shared<http_server>(settings, std::move(salt), std::move(backend),
                                       std::move(tokens), std::move(inherited));
}

} // namespace phi::http
