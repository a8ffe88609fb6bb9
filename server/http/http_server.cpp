#include "server/http/http_server.hpp"

#include "actors/log.hpp"
#include "server/http/event_loop.hpp"
#include "server/platform/listener.hpp"

#include <unistd.h>

#include <mutex>
#include <vector>

namespace phi::http {
namespace {

class http_server : public http_port {
public:
  http_server(const config& settings, std::shared_ptr<backend_port> backend)
    : shared_(std::make_shared<loop_shared>(
      settings, route_table{settings.api.prefix, settings.stats.enabled},
      trusted_proxies{settings.server.trusted_proxies}, std::move(backend))) {}

  std::string open(std::function<void()> drained) override {
    {
      std::lock_guard lock{guard_};
      drained_ = std::move(drained);
    }
    if (!loops_.empty())
      return {};
    const auto& server = shared_->settings.server;
    auto opened = open_listener(server.host, static_cast<uint16_t>(server.port));
    if (!opened.error.empty())
      return opened.error;
    listener_ = std::move(opened.fd);
    for (int64_t i = 0; i < server.threads; ++i) {
      loops_.push_back(make_event_loop(shared_));
      if (auto trouble = loops_.back()->start(::dup(listener_.get())); !trouble.empty())
        return trouble;
    }
    log_info("http", "listens",
             {{"host", server.host}, {"port", opened.port}, {"loops", server.threads}});
    return {};
  }

  void set_ready(bool ready) override {
    shared_->ready = ready;
    if (ready)
      shared_->started = true;
  }

  void close_doors() override {
    listener_.reset(); // each loop closes its own copy
    {
      std::lock_guard lock{guard_};
      loops_to_drain_ = loops_.size();
    }
    for (auto& loop : loops_)
      loop->close_doors([this] { one_drained(); });
    if (loops_.empty())
      tell_drained();
  }

  void hurry() override {
    for (auto& loop : loops_)
      loop->hurry();
  }

  void cut() override {
    for (auto& loop : loops_)
      loop->cut();
  }

  http_counts counts() const override {
    http_counts out;
    for (const auto& loop : loops_) {
      auto part = loop->counts();
      out.connections += part.connections;
      out.in_flight += part.in_flight;
      out.requests += part.requests;
      out.refused += part.refused;
    }
    return out;
  }

private:
  void one_drained() {
    std::unique_lock lock{guard_};
    if (--loops_to_drain_ > 0)
      return;
    lock.unlock();
    tell_drained();
  }

  void tell_drained() {
    std::unique_lock lock{guard_};
    auto tell = drained_;
    lock.unlock();
    if (tell)
      tell();
  }

  std::shared_ptr<loop_shared> shared_;
  owned_fd listener_;
  std::mutex guard_;
  std::function<void()> drained_;
  size_t loops_to_drain_ = 0;
  std::vector<std::unique_ptr<event_loop>> loops_;
};

} // namespace

http_port_ptr make_http_server(const config& settings, std::shared_ptr<backend_port> backend) {
  return std::make_shared<http_server>(settings, std::move(backend));
}

} // namespace phi::http
