#include "server/store/postgres/connecting.hpp"

#include "protocol/platform/addresses.hpp"
#include "protocol/platform/descriptor.hpp"
#include "server/store/postgres/connection.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace phi::store {
namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct end_session {
  void operator()(pg_conn* session) const noexcept { PQfinish(session); }
};
using session = std::unique_ptr<pg_conn, end_session>;

/// One thread for a name, however often it is asked for: a resolver may hang for long.
class lookups {
public:
  std::shared_future<found_addresses> of(const std::string& name) {
    std::lock_guard lock{mutex_};
    auto& answer = under_way_[name];
    if (answer.valid())
      return answer;
    auto told = std::make_shared<std::promise<found_addresses>>();
    answer = told->get_future().share();
    try {
      std::thread{[told, name] {
        try {
          told->set_value(look_up_addresses(name));
        } catch (const std::exception& e) {
          told->set_value({{}, e.what()});
        }
      }}.detach();
    } catch (const std::system_error& e) { // no more threads
      told->set_value({{}, e.what()});
    }
    return answer;
  }

  /// Its answer has been used, and will be old the next time.
  void over(const std::string& name) {
    std::lock_guard lock{mutex_};
    under_way_.erase(name);
  }

private:
  std::mutex mutex_;
  std::map<std::string, std::shared_future<found_addresses>> under_way_;
};

lookups& lookups_under_way() {
  static lookups all;
  return all;
}

milliseconds whole_ms(clock::duration time) {
  return std::chrono::ceil<milliseconds>(time);
}

/// One call of `open_session`.
class connection_attempt {
public:
  connection_attempt(const postgres_access& access, milliseconds silence, work_watch* watch)
    : access_(access),
      silence_(std::to_string(silence.count())),
      until_(clock::now() + access.connect_timeout),
      watch_(watch) {}

  session try_all() {
    auto hosts = hosts_of(access_.url);
    auto rounds = wanted_servers();
    auto left = hosts.size() * rounds.size();
    for (const auto& attributes : rounds)
      for (const auto& host : hosts)
        if (auto out = try_host(host, attributes, share(until_, left--)))
          return out;
    return nullptr;
  }

  /// Why not, of every address.
  const std::string& why() const { return why_; }

private:
  static clock::time_point share(clock::time_point until, size_t among) {
    auto now = clock::now();
    return now + (until - now) / static_cast<int64_t>(among);
  }

  /// libpq knows what a server is by asking it; with one at a time it cannot come back to those it
  /// would rather not have.
  std::vector<std::string> wanted_servers() const {
    auto said = url_value(access_.url, "target_session_attrs");
    if (said == "prefer-standby")
      return {"standby", "any"};
    if (said.empty())
      said = access_.for_writing ? "read-write" : "any";
    return {said};
  }

  session try_host(const postgres_host& host, const std::string& attributes,
                   clock::time_point until) {
    auto addresses = addresses_of(host, until);
    auto left = addresses.size();
    for (auto& address : addresses) {
      auto place = host;
      place.address = std::move(address);
      if (auto out = try_address(place, attributes, share(until, left--)))
        return out;
    }
    return nullptr;
  }

  /// Nothing may be known of them: one that is empty leaves it to libpq.
  std::vector<std::string> addresses_of(const postgres_host& host, clock::time_point until) {
    bool is_name =
      host.address.empty() && !host.name.empty() && host.name[0] != '/' && host.name[0] != '@';
    if (!is_name)
      return {host.address};
    if (auto numbers = read_addresses(host.name); !numbers.list.empty())
      return numbers.list;
    auto found = look_up_in_thread(host.name, until);
    if (found.list.empty())
      add_cause("the address of " + host.name + " is not known: " + found.error);
    return found.list;
  }

  /// To look a name up takes as long as the resolver likes, and nothing ends it. Whoever comes
  /// later waits for the one that is under way.
  found_addresses look_up_in_thread(const std::string& name, clock::time_point until) {
    auto answer = lookups_under_way().of(name);
    while (answer.wait_for(next_check(until)) != std::future_status::ready)
      if (clock::now() >= until)
        return {{}, "nobody has told it in time"};
    lookups_under_way().over(name);
    return answer.get();
  }

  session try_address(const postgres_host& place, const std::string& attributes,
                      clock::time_point until) {
    auto began = clock::now();
    auto out = begin(place, attributes);
    for (auto next = PGRES_POLLING_WRITING; PQstatus(out.get()) != CONNECTION_BAD;
         next = PQconnectPoll(out.get())) {
      if (next == PGRES_POLLING_OK)
        return out;
      if (next == PGRES_POLLING_FAILED)
        break;
      if (!wait_for(PQsocket(out.get()),
                    next == PGRES_POLLING_READING ? interest::input : interest::output, until)) {
        add_cause((place.name.empty() ? place.address : place.name) + " port " + PQport(out.get())
                  + " did not answer within "
                  + std::to_string(whole_ms(clock::now() - began).count()) + " ms");
        return nullptr;
      }
    }
    add_cause(one_line(PQerrorMessage(out.get())));
    return nullptr;
  }

  session begin(const postgres_host& place, const std::string& attributes) const {
    // Later keywords go before earlier ones: what the URL says before our defaults.
    std::vector<std::pair<std::string, std::string>> said{{"keepalives_idle", "5"},
                                                          {"keepalives_interval", "2"},
                                                          {"keepalives_count", "3"},
                                                          {"tcp_user_timeout", silence_},
                                                          {"application_name", access_.name}};
    bool placed = !(place.name + place.address + place.port).empty();
    if (placed) // a list of places in the URL would stand beside the one
      for (auto& value : url_values_but_places(access_.url))
        said.push_back(std::move(value));
    else
      said.emplace_back("dbname", access_.url);
    said.insert(said.end(), {{"target_session_attrs", attributes},
                             {"client_encoding", "UTF8"},
                             {"host", place.name},
                             {"hostaddr", place.address},
                             {"port", place.port}});
    std::vector<const char*> names;
    std::vector<const char*> values;
    for (const auto& [name, value] : said) {
      names.push_back(name.c_str());
      values.push_back(value.c_str()); // an empty one says nothing
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    session out{PQconnectStartParams(names.data(), values.data(), placed ? 0 : 1)};
    if (!out)
      throw std::bad_alloc{};
    return out;
  }

  /// False: not before `until`.
  bool wait_for(int socket, interest awaited, clock::time_point until) {
    for (;;) {
      auto most = next_check(until);
      if (most <= milliseconds{0})
        return false;
      if (wait_until_ready(socket, awaited, most))
        return true;
    }
  }

  milliseconds next_check(clock::time_point until) {
    check_watch();
    return std::min<milliseconds>(work_watch::interval, whole_ms(until - clock::now()));
  }

  void check_watch() {
    if (auto why = watch_ ? watch_->check() : end_cause::none; why != end_cause::none)
      throw postgres_ended{why};
  }

  void add_cause(const std::string& text) { why_ += (why_.empty() ? "" : "; ") + text; }

  const postgres_access& access_;
  std::string silence_;
  clock::time_point until_;
  work_watch* watch_;
  std::string why_;
};

} // namespace

std::string one_line(const char* text) {
  std::string out{text ? text : ""};
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  for (auto& c : out)
    if (c == '\n' || c == '\t')
      c = ' ';
  return out;
}

pg_conn* open_session(const postgres_access& access, milliseconds silence,
                      const secret_words& secrets, work_watch* watch) {
  connection_attempt to{access, silence, watch};
  if (auto out = to.try_all())
    return out.release();
  throw postgres_error{secrets.without(to.why()), {}};
}

} // namespace phi::store
