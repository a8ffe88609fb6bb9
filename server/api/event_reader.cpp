#include "server/api/event_reader.hpp"

#include "protocol/text/byte_order_mark.hpp"
#include "protocol/text/json_text.hpp"
#include "server/api/array_parts.hpp"
#include "server/api/json_trouble.hpp"

#include <simdjson.h>

#include <cstring>

namespace phi::api {
namespace {

namespace dom = simdjson::dom;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(json_blanks) == text.npos;
}

/// One that came without a name of its own: a line, or what was sent as events though it is none.
constexpr std::string_view hint_for_array =
  "an array of events is sent as application/json, not a line each";

/// To find a fault takes a hundred times as long as to read on: this much is some milliseconds.
constexpr size_t most_to_search = 1 << 20;

} // namespace

class event_reader::work {
public:
  work(const event_limits& limits, const std::string& salt) : builder_(limits, salt) {}

  void set_limits(const event_limits& limits) { builder_.set_limits(limits); }

  read_events json(std::string_view body, int64_t now_us) {
    begin(now_us, kind::plain);
    return document(without_byte_order_mark(body));
  }

  read_events cloud(std::string_view body, bool batch, int64_t now_us) {
    begin(now_us, batch ? kind::cloud_batch : kind::cloud);
    return document(without_byte_order_mark(body));
  }

  read_events cloud(const std::vector<cloud_attribute>& attributes, cloud_data data,
                    std::string_view body, int64_t now_us) {
    begin(now_us, kind::cloud);
    if (data == cloud_data::json)
      body = without_byte_order_mark(body);
    bool json = data == cloud_data::json && !is_blank(body);
    dom::element root;
    if (json)
      if (auto code = parse(body, root))
        return whole(code_of(code), fault_of(code, body));
    keep(builder_.begin(now_us, body.size())
         && cloud_.read(attributes, json ? std::optional{root} : std::nullopt,
                        data == cloud_data::json ? std::string_view{} : body));
    return std::move(out_);
  }

  read_events ndjson(std::string_view body, int64_t now_us) {
    begin(now_us, kind::plain);
    body = without_byte_order_mark(body);
    load(body);
    if (is_array(body))
      return whole(error_code::invalid_json, std::string{hint_for_array});
    for (size_t at = 0; at < body.size();) {
      auto end = std::min(body.find('\n', at), body.size());
      auto line = body.substr(at, end - at);
      if (!is_blank(line)) {
        if (index_ >= builder_.limits().events)
          return too_many();
        add_part(at, line.size(), line.size());
      }
      at = end + 1;
    }
    if (index_ == 0)
      return whole(error_code::empty_body, "send one event a line");
    return std::move(out_);
  }

private:
  enum class kind : uint8_t { plain, cloud, cloud_batch };

  void begin(int64_t now_us, kind read_as) {
    now_us_ = now_us;
    kind_ = read_as;
    left_to_search_ = most_to_search;
    index_ = 0;
    out_ = {};
  }

  /// A body that is one JSON value.
  read_events document(std::string_view body) {
    if (is_blank(body))
      return whole(error_code::empty_body, "send one event, or an array of events");
    dom::element root;
    if (auto code = parse(body, root))
      return by_parts(body, code);
    dom::array list;
    bool is_list = root.get(list) == simdjson::SUCCESS;
    if (kind_ != kind::plain && is_list != (kind_ == kind::cloud_batch))
      return whole(error_code::nothing_valid,
                   is_list ? "several CloudEvents are sent as application/cloudevents-batch+json"
                           : "a batch is an array; one CloudEvent is sent as "
                             "application/cloudevents+json");
    if (!is_list) {
      add(root, body.size());
      return std::move(out_);
    }
    if (list.size() == 0 && kind_ == kind::plain)
      return whole(error_code::empty_body, "the array holds no event");
    if (list.size() > builder_.limits().events)
      return too_many();
    for (auto item : list)
      add(item, 0);
    return std::move(out_);
  }

  /// The JSON was not read, for `code`. In an array that may be the fault of some events only.
  read_events by_parts(std::string_view body, simdjson::error_code code) {
    const auto most = builder_.limits().events;
    auto parts = is_about_value(code, body) && kind_ != kind::cloud ? parts_of_array(body, most)
                                                                    : std::nullopt;
    if (!parts)
      return whole(code_of(code), is_lines(body)
                                    ? "these are several values, a line each: send them as "
                                      "application/x-ndjson"
                                    : fault_of(code, body));
    if (parts->size() > most)
      return too_many();
    for (auto part : *parts) {
      auto wrong = add_part(static_cast<size_t>(part.data() - body.data()), part.size(), 0);
      if (wrong && !is_about_value(wrong, part)) // then it is no JSON at all
        return whole(code_of(wrong), fault_of(wrong, body));
    }
    return std::move(out_);
  }

  /// Whether the first line of what was loaded is a value of its own, and another one follows.
  bool is_lines(std::string_view body) {
    auto begin = body.find_first_not_of(json_blanks);
    auto end = body.find('\n', begin);
    if (end == body.npos || is_blank(body.substr(end)))
      return false;
    dom::element first;
    return kind_ == kind::plain && body[begin] == '{'
           && body[body.find_first_not_of(json_blanks, end)] == '{'
           && parse_at(begin, end - begin, first) == simdjson::SUCCESS;
  }

  /// Whether what was loaded is one array, be it over several lines, of which some look like
  /// events.
  bool is_array(std::string_view body) {
    dom::element root;
    auto begin = body.find_first_not_of(json_blanks);
    return begin != body.npos && body[begin] == '['
           && parse_at(0, body.size(), root) == simdjson::SUCCESS;
  }

  /// simdjson reads a little past the end, so the text is kept with room behind it.
  void load(std::string_view body) {
    if (text_.size() < body.size() + simdjson::SIMDJSON_PADDING)
      text_.resize(body.size() + simdjson::SIMDJSON_PADDING);
    std::memcpy(text_.data(), body.data(), body.size());
    std::memset(text_.data() + body.size(), ' ', simdjson::SIMDJSON_PADDING);
  }

  simdjson::error_code parse(std::string_view body, dom::element& root) {
    load(body);
    return parse_at(0, body.size(), root);
  }

  simdjson::error_code parse_at(size_t at, size_t size, dom::element& root) {
    if (parser_.max_depth() != deepest_json || parser_.capacity() < size)
      if (auto code = parser_.allocate(std::max<size_t>(size, 4096), deepest_json))
        return code;
    return parser_.parse(text_.data() + at, size, false).get(root);
  }

  /// With the place in it, as long as not too much is searched for one body.
  std::string fault_of(simdjson::error_code code, std::string_view text) {
    bool search = text.size() <= left_to_search_;
    left_to_search_ -= search ? text.size() : 0;
    return what_is_wrong(code, text, search);
  }

  read_events whole(error_code code, std::string detail) {
    return {.error = code, .detail = std::move(detail)};
  }

  read_events too_many() {
    return whole(error_code::too_many_events, "a request may hold up to "
                                                + std::to_string(builder_.limits().events)
                                                + " events (stats.max_events_per_request)");
  }

  /// A part of the text that was loaded: an event of its own. `measured`: its size as text, where
  /// that is what counts; 0: what is in it counts, as in an array that is read whole.
  simdjson::error_code add_part(size_t at, size_t size, size_t measured) {
    if (measured > builder_.limits().event_bytes) {
      keep(builder_.begin(now_us_, measured));
      return simdjson::SUCCESS;
    }
    dom::element root;
    auto code = parse_at(at, size, root);
    if (code == simdjson::SUCCESS)
      add(root, measured);
    else
      keep(builder_.refuse(code_of(code), "", fault_of(code, {text_.data() + at, size})));
    return code;
  }

  void add(dom::element item, size_t bytes) {
    keep(builder_.begin(now_us_, bytes) && (kind_ == kind::plain ? read(item) : cloud_.read(item)));
  }

  /// What the builder has: an event, or a refusal of one.
  void keep(bool built) {
    if (built) {
      out_.events.push_back(builder_.take_event());
    } else {
      out_.rejected.push_back(builder_.take_refusal());
      out_.rejected.back().index = index_;
    }
    ++index_;
  }

  bool read(dom::element item) {
    dom::object members;
    if (item.get(members))
      return builder_.refuse(error_code::not_an_object, "",
                             item.is_array() ? std::string{hint_for_array}
                                             : "an event must be a JSON object");
    for (auto [name, value] : members) {
      auto which = find_event_field(name);
      const place_of_value from{"/", name};
      if (which == event_field::none)
        return builder_.refuse(error_code::unknown_field, from, hint_for_field(name));
      if (!builder_.take(which, value, from))
        return false;
    }
    return builder_.finish({"/", "feature"});
  }

  event_builder builder_;
  cloud_event_reader cloud_{builder_};
  dom::parser parser_;
  std::vector<char> text_;

  read_events out_;
  uint32_t index_ = 0;
  int64_t now_us_ = 0;
  kind kind_ = kind::plain;
  size_t left_to_search_ = 0;
};

event_reader::event_reader(const event_limits& limits, const std::string& salt)
  : work_(std::make_unique<work>(limits, salt)) {}

event_reader::~event_reader() = default;

void event_reader::set_limits(const event_limits& limits) {
  work_->set_limits(limits);
}

read_events event_reader::read_json(std::string_view body, int64_t now_us) {
  return work_->json(body, now_us);
}

read_events event_reader::read_ndjson(std::string_view body, int64_t now_us) {
  return work_->ndjson(body, now_us);
}

read_events event_reader::read_cloud_event(std::string_view body, int64_t now_us) {
  return work_->cloud(body, false, now_us);
}

read_events event_reader::read_cloud_batch(std::string_view body, int64_t now_us) {
  return work_->cloud(body, true, now_us);
}

read_events event_reader::read_cloud_event(const std::vector<cloud_attribute>& attributes,
                                           cloud_data data, std::string_view body, int64_t now_us) {
  return work_->cloud(attributes, data, body, now_us);
}

} // namespace phi::api
