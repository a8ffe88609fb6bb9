#pragma once
/// Variables of the environment, for a while.

#include <cstdlib>
#include <string>
#include <utility>

namespace phi::testing {

/// Sets a variable, or removes it, and puts it back in the end.
class scoped_variable {
public:
  /// Null: not set.
  explicit scoped_variable(std::string name, const char* value = nullptr) : name_(std::move(name)) {
    const char* before = std::getenv(name_.c_str());
    was_set_ = before != nullptr;
    before_ = was_set_ ? before : "";
    set(value);
  }
  ~scoped_variable() { set(was_set_ ? before_.c_str() : nullptr); }
  scoped_variable(const scoped_variable&) = delete;
  scoped_variable& operator=(const scoped_variable&) = delete;

  void set(const std::string& value) { set(value.c_str()); }
  void set(const char* value) {
    if (value)
      ::setenv(name_.c_str(), value, 1);
    else
      ::unsetenv(name_.c_str());
  }

private:
  std::string name_;
  std::string before_;
  bool was_set_ = false;
};

} // namespace phi::testing
