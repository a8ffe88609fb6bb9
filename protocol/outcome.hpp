#pragma once
/// How something ended that can fail: the one form in which errors are returned.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace phi {

/// Success, or why not. Whoever gets one looks at it, hands it on, or says why nobody need know.
class [[nodiscard]] outcome {
public:
  /// What callers act upon; everything else is in the text.
  enum class kind : uint8_t {
    success,
    failure,
    out_of_reach, ///< what was acknowledged is where nobody will look for it
  };

  /// Success.
  outcome() = default;

  /// `why`: for people; without one it says at least that there is none.
  static outcome failure(std::string why, kind of_kind = kind::failure) {
    outcome out;
    out.kind_ = of_kind;
    out.why_ = why.empty() ? "for an unknown reason" : std::move(why);
    return out;
  }

  explicit operator bool() const noexcept { return kind_ == kind::success; }
  bool is(kind expected) const noexcept { return kind_ == expected; }

  /// Empty after success.
  const std::string& why() const& noexcept { return why_; }
  std::string why() && { return std::move(why_); }

  /// Says that a failure changes nothing here, and because of what.
  void ignore(const char* /*because*/) const noexcept {}

private:
  kind kind_ = kind::success;
  std::string why_;
};

/// A value, or why there is none.
template <class T>
class [[nodiscard]] result {
public:
  result(T value) : value_(std::move(value)) {}
  /// Of a failure; success without a value is one as well.
  result(outcome failed) : failed_(failed ? outcome::failure("") : std::move(failed)) {}

  explicit operator bool() const noexcept { return value_.has_value(); }

  /// Empty when there is a value.
  const std::string& why() const& noexcept { return failed_.why(); }
  std::string why() && { return std::move(failed_).why(); }

  // Only after success.
  T& operator*() { return value_.value(); }
  const T& operator*() const { return value_.value(); }
  T* operator->() { return &value_.value(); }
  const T* operator->() const { return &value_.value(); }

private:
  std::optional<T> value_;
  outcome failed_;
};

} // namespace phi
