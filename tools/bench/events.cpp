#include "tools/bench/events.hpp"

#include "protocol/text/rfc3339.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <span>

namespace phi::bench {
namespace {

constexpr std::array<std::string_view, 10> features{"checkout", "search", "login", "profile",
                                                    "upload",   "export", "chat",  "report",
                                                    "billing",  "admin"};
constexpr std::array<std::string_view, 4> actions{"create", "read", "update", "list"};
constexpr size_t route_count = 40;
constexpr size_t user_count = 50'000;
constexpr uint64_t bomb_routes = 100'000;
constexpr double day_us = 86'400e6;
constexpr size_t day_steps = 1024;

/// Who sends: each kind makes ids of its own shape.
enum class sender : uint8_t { web, bot, game, import };
constexpr std::array<std::string_view, 4> sources{"web", "bots", "game", "import"};
constexpr std::array<std::string_view, 8> instances{"web-1",  "web-2",  "bot-eu",   "bot-us",
                                                    "game-7", "game-9", "import-a", "import-b"};

struct weighed_status {
  int status;
  double up_to; ///< sum of the shares
};
constexpr std::array<weighed_status, 8> read_statuses{
  {{200, .86}, {304, .92}, {404, .955}, {400, .97}, {401, .98}, {429, .99}, {500, .997}, {503, 1}}};
constexpr std::array<weighed_status, 7> write_statuses{
  {{200, .46}, {201, .90}, {400, .94}, {409, .965}, {422, .99}, {500, .998}, {503, 1}}};

uint64_t mixed(uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// SplitMix64: the same numbers on every machine, for one event.
class draws {
public:
  explicit draws(uint64_t seed) : state_(seed) {}
  uint64_t bits() { return mixed(state_ += 0x9e3779b97f4a7c15); }
  double share() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

private:
  uint64_t state_;
};

/// Sums of 1, 1/2, 1/3 ... , the last of them 1.
std::vector<double> zipf(size_t count) {
  std::vector<double> out;
  double sum = 0;
  for (size_t i = 0; i < count; ++i)
    out.push_back(sum += 1 / static_cast<double>(i + 1));
  for (auto& up_to : out)
    up_to /= sum;
  return out;
}

size_t drawn(const std::vector<double>& sums, double share) {
  auto at = std::upper_bound(sums.begin(), sums.end(), share) - sums.begin();
  return std::min(static_cast<size_t>(at), sums.size() - 1);
}

int drawn(std::span<const weighed_status> from, double share) {
  for (const auto& weighed : from)
    if (share < weighed.up_to)
      return weighed.status;
  return from.back().status;
}

/// How many events there are before a time of day, both in days: least at midnight, most at noon.
double events_before(double time) {
  return time - 0.45 / 0.55 / (2 * M_PI) * std::sin(2 * M_PI * time);
}

std::vector<double> times_of_day() {
  std::vector<double> out;
  for (size_t i = 0; i <= day_steps; ++i) {
    auto wanted = static_cast<double>(i) / day_steps;
    double low = 0;
    double high = 1;
    while (high - low > 1e-12) {
      auto middle = (low + high) / 2;
      (events_before(middle) < wanted ? low : high) = middle;
    }
    out.push_back(low);
  }
  return out;
}

void append(std::string& out, std::integral auto number, int base = 10) {
  char digits[24];
  auto end = std::to_chars(digits, digits + sizeof digits, number, base).ptr;
  out.append(digits, end);
}

void append_hex(std::string& out, uint64_t bits, int digits) {
  while (digits-- > 0)
    out += "0123456789abcdef"[(bits >> (4 * digits)) & 15];
}

void append_base32(std::string& out, uint64_t bits, int digits) {
  while (digits-- > 0)
    out += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(bits >> (5 * digits)) & 31];
}

/// UUIDv7.
void append_uuid(std::string& out, uint64_t ms, uint64_t a, uint64_t b) {
  append_hex(out, ms >> 16, 8);
  out += '-';
  append_hex(out, ms, 4);
  out += "-7";
  append_hex(out, a, 3);
  out += '-';
  append_hex(out, 8 | (b & 3), 1);
  append_hex(out, a >> 12, 3);
  out += '-';
  append_hex(out, b >> 2, 12);
}

void make_id(std::string& out, sender from, const event_wishes& wanted, uint64_t number,
             int64_t time_us, draws& random) {
  out.clear();
  auto ms = static_cast<uint64_t>(time_us / 1000);
  auto a = random.bits();
  auto b = random.bits();
  switch (from) {
    case sender::web: return append_uuid(out, ms, a, b);
    case sender::game: // ULID
      append_base32(out, ms, 10);
      append_base32(out, a, 8);
      return append_base32(out, b, 8);
    case sender::import: append_hex(out, a, 16); return append_hex(out, b, 16);
    case sender::bot: // counts
      out += 'r';
      append(out, wanted.seed);
      out += ':';
      return append(out, number);
  }
}

void make_user(bench_event& out, size_t user) {
  out.user_hash.clear();
  append_hex(out.user_hash, mixed(user), 16);
  append_hex(out.user_hash, mixed(~user), 16);
  out.user_kind = user % 3 == 0 ? "platform" : "session";
}

void make_constant(bench_event& out) {
  out = {.feature = "images", .action = "generate", .route = "/image", .method = "POST"};
  out.status = 200;
  out.duration_us = 123'000;
  out.user_hash = "0123456789abcdef0123456789abcdef";
}

} // namespace

event_maker::event_maker(const event_wishes& wanted)
  : wanted_(wanted),
    routes_(zipf(route_count)),
    users_(zipf(user_count)),
    day_(times_of_day()) {
  if (wanted_.days <= 0)
    wanted_.days = wanted_.mode == event_mode::live ? 0.003 : 30;
  auto end = static_cast<double>(wanted_.until_us) / day_us;
  begin_ = events_before(end - wanted_.days);
  length_ = events_before(end) - begin_;
  half_bits_ = static_cast<unsigned>(std::bit_width(wanted_.count) + 1) / 2;
}

/// A Feistel cipher of the number, again while it lies outside: each place once.
uint64_t event_maker::place_of(uint64_t number) const {
  if (wanted_.mode != event_mode::backfill && wanted_.mode != event_mode::bomb)
    return number;
  auto mask = (uint64_t{1} << half_bits_) - 1;
  auto at = number;
  do {
    auto left = at >> half_bits_;
    auto right = at & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      auto next = left ^ (mixed(right ^ mixed(wanted_.seed + round)) & mask);
      left = right;
      right = next;
    }
    at = left << half_bits_ | right;
  } while (at >= wanted_.count);
  return at;
}

int64_t event_maker::time_of(uint64_t number, double jitter) const {
  auto place = wanted_.mode == event_mode::bomb ? number : place_of(number);
  auto share = (static_cast<double>(place) + jitter) / static_cast<double>(wanted_.count);
  auto before = begin_ + share * length_;
  auto day = std::floor(before);
  auto step = (before - day) * day_steps;
  auto at = std::min(static_cast<size_t>(step), day_steps - 1);
  auto of_day = day_[at] + (step - static_cast<double>(at)) * (day_[at + 1] - day_[at]);
  return static_cast<int64_t>((day + of_day) * day_us);
}

void event_maker::make(uint64_t number, bench_event& out) const {
  if (wanted_.mode == event_mode::constant)
    return make_constant(out);
  draws random{mixed(wanted_.seed * 0xd6e8feb86659fd93 + mixed(number))};
  out.time_us = time_of(number, random.share());
  auto from = static_cast<sender>(random.bits() % sources.size());
  auto kind = static_cast<size_t>(from);
  make_id(out.id, from, wanted_, number, out.time_us, random);
  out.source = sources[kind];
  out.instance = instances[kind * 2 + random.bits() % 2];
  for (size_t half = 0; half < 2; ++half) {
    auto bits = random.bits();
    for (size_t i = 0; i < 8; ++i)
      out.digest[half * 8 + i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  auto route = drawn(routes_, random.share());
  out.feature = features[route % features.size()];
  out.action = actions[route / features.size()];
  out.method = route % 3 == 0 ? "POST" : "GET";
  out.route = wanted_.mode == event_mode::bomb ? "/r/" : "/api/v2/things/";
  append(out.route, wanted_.mode == event_mode::bomb ? place_of(number) % bomb_routes : route);
  out.status =
    route % 3 == 0 ? drawn(write_statuses, random.share()) : drawn(read_statuses, random.share());
  // Box and Muller's way to a normal distribution.
  auto normal = std::sqrt(-2 * std::log(1 - random.share())) * std::cos(2 * M_PI * random.share());
  auto ms = std::exp(2.5 + static_cast<double>(route % 7) * 0.4 + 0.6 * normal);
  out.duration_us = std::llround(ms * 10) * 100;
  make_user(out, drawn(users_, random.share()));
}

void append_json(std::string& out, const bench_event& event) {
  auto text = [&](std::string_view name, std::string_view value) {
    out += name;
    out += value;
    out += "\",";
  };
  out += '{';
  if (!event.id.empty()) {
    text(R"("id":")", event.id);
    text(R"("source":")", event.source);
    text(R"("time":")", format_rfc3339(event.time_us));
  }
  text(R"("feature":")", event.feature);
  text(R"("action":")", event.action);
  text(R"("route":")", event.route);
  text(R"("method":")", event.method);
  text(R"("userHash":")", event.user_hash);
  if (!event.user_kind.empty())
    text(R"("userKind":")", event.user_kind);
  if (!event.instance.empty())
    text(R"("instance":")", event.instance);
  out += R"("status":)";
  append(out, event.status);
  out += R"(,"durationMs":)";
  append(out, event.duration_us / 1000);
  out += '.';
  append(out, event.duration_us / 100 % 10);
  out += "}\n";
}

void append_csv(std::string& out, const bench_event& event) {
  append(out, event.time_us);
  out += ",\\x";
  for (auto byte : event.digest)
    append_hex(out, byte, 2);
  for (std::string_view text :
       {event.feature, event.action, std::string_view{event.route}, event.method}) {
    out += ',';
    out += text;
  }
  out += ',';
  append(out, event.status);
  out += ',';
  append(out, event.duration_us);
  for (std::string_view text :
       {std::string_view{event.user_hash}, event.user_kind, event.instance}) {
    out += ',';
    out += text;
  }
  out += '\n';
}

} // namespace phi::bench
