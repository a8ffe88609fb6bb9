#include "server/observe/trace.hpp"

#include "actors/log.hpp"
#include "config/defaults.hpp"
#include "protocol/names.hpp"
#include "protocol/text/closest.hpp"
#include "protocol/time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace phi {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* outside = "outside";
constexpr int64_t worth_a_line_ns = 1'000'000; ///< handled faster than this, its end is not logged
thread_local uint64_t handling_here = 0; ///< the number of the handling that this thread is in

int64_t now_ns() {
  return clock::now().time_since_epoch().count();
}

double microseconds(int64_t ns) {
  return static_cast<double>(ns) / 1000;
}

std::string dump(const json& line) {
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

constexpr std::string_view messages_known[]{
#include "message_names.inc"
  "answer", "down"};

/// Whether all are among the names known; else which one is not, with the nearest.
template <size_t N>
outcome check_names(const std::set<std::string>& wanted, const std::string_view (&known)[N],
                    const std::string& kind) {
  for (const auto& name : wanted)
    if (std::find(std::begin(known), std::end(known), name) == std::end(known)) {
      auto best = closest(name, std::vector<std::string>{std::begin(known), std::end(known)});
      std::string all;
      for (auto name : known)
        all += (all.empty() ? "" : ", ") + std::string{name};
      return outcome::failure(
        "there is no " + kind + " \"" + name + "\""
        + (best.empty() ? "; there are " + all : "; did you mean " + best + "?"));
    }
  return {};
}

json track_name(int track, const std::string& name) {
  return {
    {"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", name}}}};
}

} // namespace

trace_recorder::~trace_recorder() {
  off();
}

outcome trace_recorder::on(const trace_target& target, trace_filter filter) {
  if (auto known = check_names(filter.actors, actor_name::all, "actor"); !known)
    return known;
  if (auto known = check_names(filter.messages, messages_known, "message"); !known)
    return known;
  std::lock_guard lock{mutex_};
  close_file();
  to_log_ = target.to_log;
  if (!target.file.empty()) {
    file_ = std::fopen(target.file.c_str(), "we");
    if (!file_)
      return outcome::failure("cannot write the trace to " + target.file + ": "
                              + std::strerror(errno));
    std::fputs("[\n", file_);
    file_bytes_ = 2;
  }
  filter_ = std::move(filter);
  lines_.clear();
  first_line_ = 0;
  sends_.clear();
  waiting_sends_ = 0;
  answers_.clear();
  handlings_.clear();
  gone_.clear();
  tracks_ = {{outside, 0}};
  add(
    dump({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", "phi-backend"}}}}));
  add(dump(track_name(0, outside)));
  set_tracing(this, filter_.user_data);
  return {};
}

void trace_recorder::off() {
  if (is_on())
    set_tracing(nullptr);
  std::lock_guard lock{mutex_};
  log_unfinished();
  close_file();
}

/// What is being handled at the end of a trace would be missing from it, and is what one looks for:
/// the message that an actor is stuck in.
void trace_recorder::log_unfinished() {
  auto now = now_ns();
  for (const auto& [number, piece] : handlings_) {
    if (!wanted(piece) || number == handling_here)
      continue;
    record(piece, now, true);
    if (to_log_)
      log_warn("trace", "sees a message that is not handled yet",
               {{"to", piece.call.name},
                {"message", to_string(piece.call.message.type)},
                {"since_us", microseconds(now - piece.began_ns)}});
  }
  handlings_.clear();
  for (auto& line : waiting_lines(now)) {
    if (to_log_)
      log_warn("trace", "sees a message that nobody handles",
               {{"from", line["args"]["from"].get<std::string>()},
                {"to", line["args"]["to"].get<std::string>()},
                {"message", line["name"].get<std::string>()},
                {"count", line["args"]["count"].get<uint64_t>()},
                {"since_us", line["args"]["waitedUs"].get<double>()}});
    auto track = track_of(0, line["args"]["to"].get<std::string>().c_str());
    line["tid"] = track;
    add(dump(line));
  }
  sends_.clear();
  waiting_sends_ = 0;
}

/// One line for all of a kind between the same two, however many: what waits is many when somebody
/// is stuck.
std::vector<json> trace_recorder::waiting_lines(int64_t now) const {
  std::vector<json> out;
  for (const auto& [way, list] : sends_) {
    auto to = name_of(std::get<1>(way));
    auto type = static_cast<caf::atom_value>(std::get<2>(way));
    auto due = static_cast<uint64_t>(std::count_if(
      list.begin(), list.end(), [&](const send& sent) { return sent.due_ns <= now; }));
    if (due == 0 || !wanted(to, type))
      continue;
    const auto& first = list.front();
    auto track = tracks_.find(to);
    out.push_back({{"name", to_string(type)},
                   {"cat", "waiting"},
                   {"ph", "i"},
                   {"s", "t"},
                   {"pid", 1},
                   {"tid", track == tracks_.end() ? 0 : track->second},
                   {"ts", microseconds(first.due_ns)},
                   {"args",
                    {{"from", name_of(first.origin)},
                     {"to", to},
                     {"count", due},
                     {"waitedUs", microseconds(now - first.due_ns)}}}});
  }
  return out;
}

void trace_recorder::close_file() {
  if (!file_)
    return;
  // A last line without a comma makes it valid JSON.
  std::fputs(R"({"name":"end","ph":"i","s":"g","pid":1,"tid":0,"ts":)", file_);
  std::fprintf(file_, "%.3f}\n]\n", microseconds(now_ns()));
  std::fclose(file_);
  file_ = nullptr;
}

trace_page trace_recorder::read(uint64_t from, size_t max_bytes) const {
  std::lock_guard lock{mutex_};
  trace_page out{.dropped = first_line_};
  if (from == 0 && first_line_ > 0) // the names of the tracks came first: they were pushed out
    for (const auto& [name, track] : tracks_)
      out.lines.push_back(dump(track_name(track, name)));
  auto at = std::max(from, first_line_);
  for (size_t bytes = 0; at < first_line_ + lines_.size(); ++at) {
    const auto& line = lines_[static_cast<size_t>(at - first_line_)];
    if (bytes += line.size(); bytes > max_bytes && !out.lines.empty())
      break;
    out.lines.push_back(line);
  }
  if (at < first_line_ + lines_.size()) {
    out.next = at;
    return out;
  }
  auto now = now_ns();
  for (const auto& [number, piece] : handlings_)
    if (wanted(piece) && number != handling_here)
      out.lines.push_back(dump(span_of(piece, now, true)));
  for (const auto& line : waiting_lines(now))
    out.lines.push_back(dump(line));
  return out;
}

trace_recorder::channel trace_recorder::channel_of(const traced_message& message) {
  return {message.from, message.to, static_cast<uint64_t>(message.type), message.urgent};
}

void trace_recorder::sent(const traced_message& message, uint64_t origin) noexcept {
  std::lock_guard lock{mutex_};
  if (waiting_sends_ >= defaults::trace_max_waiting || gone_.contains(message.to))
    return;
  // CAF keeps the order of messages of one priority between two actors, so the first that is
  // handled is the first that was sent, or for those that are delayed the first that was due.
  auto now = now_ns();
  send sent{now, message.from ? message.from : origin, now + message.delay_ns};
  auto& list = sends_[channel_of(message)];
  auto behind =
    std::upper_bound(list.begin(), list.end(), sent, [](const send& left, const send& right) {
      return left.due_ns < right.due_ns;
    });
  list.insert(behind, sent);
  ++waiting_sends_;
}

/// Who has gone handles nothing any more, and is not stuck.
void trace_recorder::forget_receiver(uint64_t actor) {
  gone_.insert(actor);
  for (auto at = sends_.begin(); at != sends_.end();)
    if (std::get<1>(at->first) == actor) {
      waiting_sends_ -= at->second.size();
      at = sends_.erase(at);
    } else {
      ++at;
    }
}

std::optional<trace_recorder::send> trace_recorder::take_send(const traced_handling& handling) {
  const auto& message = handling.message;
  if (handling.is_answer) {
    auto found = answers_.find({message.to, handling.request});
    if (found == answers_.end())
      return std::nullopt;
    auto out = found->second;
    answers_.erase(found);
    return out;
  }
  if (message.type == caf::atom("down")) {
    forget_receiver(message.from);
    if (auto last = last_ended_.find(message.from); last != last_ended_.end())
      return send{last->second, message.from, last->second};
  }
  auto found = sends_.find(channel_of(message));
  if (found == sends_.end() || found->second.empty())
    return std::nullopt;
  auto out = found->second.front();
  found->second.pop_front();
  --waiting_sends_;
  if (found->second.empty())
    sends_.erase(found);
  return out;
}

uint64_t trace_recorder::began(traced_handling handling) noexcept {
  std::lock_guard lock{mutex_};
  auto number = next_number_++;
  names_[handling.message.to] = handling.name;
  auto from = take_send(handling);
  auto& piece = handlings_[number] = {std::move(handling), now_ns(), from};
  handling_here = number;
  if (to_log_ && wanted(piece)) // now and not when it is done: a cause comes before its effects
    log_message(piece);
  return number;
}

void trace_recorder::handled(uint64_t number) noexcept {
  auto ended = now_ns();
  std::lock_guard lock{mutex_};
  handling_here = 0;
  auto found = handlings_.find(number);
  if (found == handlings_.end())
    return; // tracing was switched anew meanwhile
  auto piece = std::move(found->second);
  handlings_.erase(found);
  const auto& message = piece.call.message;
  last_ended_[message.to] = ended;
  if (piece.call.request != 0 && !piece.call.is_answer
      && answers_.size() < defaults::trace_max_waiting)
    answers_[{message.from, piece.call.request}] = {ended, message.to, ended};
  if (!wanted(piece))
    return;
  record(piece, ended);
  if (to_log_ && ended - piece.began_ns >= worth_a_line_ns)
    log_info("trace", "saw the message handled",
             {{"to", piece.call.name},
              {"message", to_string(message.type)},
              {"handled_us", microseconds(ended - piece.began_ns)}});
}

void trace_recorder::worked(const char* work, int64_t began_ns, int64_t ended_ns) noexcept {
  std::lock_guard lock{mutex_};
  auto found = handlings_.find(handling_here);
  // A piece of work within a handler of an actor that is shown.
  if (found == handlings_.end() || !wanted(found->second))
    return;
  const auto& in = found->second;
  auto track = track_of(in.call.message.to, in.call.name);
  add(dump({{"name", work},
            {"cat", "work"},
            {"ph", "X"},
            {"pid", 1},
            {"tid", track},
            {"ts", microseconds(std::max(began_ns, in.began_ns))},
            {"dur", microseconds(ended_ns - std::max(began_ns, in.began_ns))}}));
}

bool trace_recorder::wanted(const std::string& actor, caf::atom_value message) const {
  return (filter_.actors.empty() || filter_.actors.contains(actor))
         && (filter_.messages.empty() || filter_.messages.contains(to_string(message)));
}

bool trace_recorder::wanted(const under_way& handled) const {
  return wanted(handled.call.name, handled.call.message.type);
}

std::string trace_recorder::name_of(uint64_t actor) const {
  if (auto found = names_.find(actor); found != names_.end())
    return found->second;
  auto known = name_of_actor(actor); // it has handled nothing since the trace began
  return known.empty() ? outside : known;
}

int trace_recorder::track_of(uint64_t actor, const char* name) {
  auto [at, fresh] = tracks_.try_emplace(name ? std::string{name} : name_of(actor),
                                         static_cast<int>(tracks_.size()));
  if (fresh)
    add(dump(track_name(at->second, at->first)));
  return at->second;
}

/// In the mailbox: a delay that was asked for is no waiting.
int64_t trace_recorder::waited_ns(const under_way& handled) {
  return std::max<int64_t>(0, handled.began_ns - handled.from->due_ns);
}

json trace_recorder::span_of(const under_way& handled, int64_t ended_ns, bool unfinished) const {
  json args{{"from", name_of(handled.from ? handled.from->origin : handled.call.message.from)}};
  if (!handled.call.content.empty())
    args["content"] = handled.call.content;
  if (handled.from)
    args["waitedUs"] = microseconds(waited_ns(handled));
  if (handled.from && handled.from->due_ns > handled.from->at_ns)
    args["delayUs"] = microseconds(handled.from->due_ns - handled.from->at_ns);
  if (unfinished)
    args["unfinished"] = true;
  auto track = tracks_.find(handled.call.name);
  return {{"name", to_string(handled.call.message.type)},
          {"cat", "message"},
          {"ph", "X"},
          {"pid", 1},
          {"tid", track == tracks_.end() ? 0 : track->second},
          {"ts", microseconds(handled.began_ns)},
          {"dur", microseconds(ended_ns - handled.began_ns)},
          {"args", std::move(args)}};
}

void trace_recorder::record(const under_way& handled, int64_t ended_ns, bool unfinished) {
  auto track = track_of(handled.call.message.to, handled.call.name);
  auto name = to_string(handled.call.message.type);
  auto origin = handled.from ? handled.from->origin : handled.call.message.from;
  add(dump(span_of(handled, ended_ns, unfinished)));
  if (!handled.from)
    return;
  auto arrow = next_arrow_++;
  auto from_track = track_of(origin, nullptr);
  if (from_track == 0) // nothing runs on that track: a short span for the arrow to begin in
    add(dump({{"name", "send " + name},
              {"cat", "outside"},
              {"ph", "X"},
              {"pid", 1},
              {"tid", 0},
              {"ts", microseconds(handled.from->at_ns)},
              {"dur", 0.001}}));
  add(dump({{"name", name},
            {"cat", "arrow"},
            {"ph", "s"},
            {"id", arrow},
            {"pid", 1},
            {"tid", from_track},
            {"ts", microseconds(handled.from->at_ns)}}));
  add(dump({{"name", name},
            {"cat", "arrow"},
            {"ph", "f"},
            {"bp", "e"},
            {"id", arrow},
            {"pid", 1},
            {"tid", track},
            {"ts", microseconds(handled.began_ns)}}));
}

void trace_recorder::add(std::string line) {
  if (file_ && file_bytes_ < defaults::trace_max_file_bytes) {
    std::fputs(line.c_str(), file_);
    std::fputs(",\n", file_);
    file_bytes_ += line.size() + 2;
  }
  lines_.push_back(std::move(line));
  if (lines_.size() > defaults::trace_max_lines) {
    lines_.pop_front();
    ++first_line_;
  }
}

void trace_recorder::log_message(const under_way& handled) const {
  const auto& message = handled.call.message;
  log_fields fields{{"from", name_of(handled.from ? handled.from->origin : message.from)},
                    {"to", handled.call.name},
                    {"message", to_string(message.type)}};
  if (!handled.call.content.empty())
    fields.emplace_back("content", handled.call.content);
  if (handled.from)
    fields.emplace_back("waited_us", microseconds(waited_ns(handled)));
  log_info("trace", "sees a message", fields);
}

} // namespace phi
