#pragma once
/// Writes metrics as Prometheus' text format 0.0.4 or as OpenMetrics 1.0.0 (README.md, section
/// "Decisions").

#include "protocol/questions.hpp"
#include "protocol/time_counts.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace phi {

enum class metric_type : uint8_t { counter, gauge, histogram, info };

struct metric_label {
  std::string_view name;
  std::string_view value; ///< any text
};

class exposition {
public:
  using labels = std::initializer_list<metric_label>;

  explicit exposition(metrics_format format) : format_(format) {}

  /// From now on samples are of this family; each name is begun once. `name` without `_total` or
  /// `_info`, in base units and with the unit last. A family without a sample is not written.
  void begin(std::string_view name, metric_type type, std::string_view help);

  void put(labels marks, uint64_t value) { line(suffix(), marks, std::to_string(value)); }
  void put(labels marks, double value) { line(suffix(), marks, number(value)); }
  /// Of a histogram, whose unit is seconds.
  void put(labels marks, const time_counts& times);

  /// All of it. Nothing can be put behind.
  std::string finish();

private:
  bool open_metrics() const { return format_ == metrics_format::open_metrics; }
  std::string_view suffix() const;
  std::string bound(double seconds) const;
  static std::string number(double value);
  void head();
  void line(std::string_view suffix, labels marks, std::string_view value, metric_label more = {});
  void label(std::string_view name, std::string_view value, bool first);

  metrics_format format_;
  std::string text_;
  std::string name_;
  metric_type type_ = metric_type::gauge;
  std::string help_;
  bool begun_ = false; ///< the family has a head
};

} // namespace phi
