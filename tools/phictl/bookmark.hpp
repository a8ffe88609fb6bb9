#pragma once
/// How far an import has come, in a file beside the imported one. It only saves time: what is sent
/// again is known already. So in doubt it is not believed.

#include <cstdint>
#include <string>

namespace phi::ctl {

class bookmark {
public:
  /// Of an import of `file` into the database with this id; empty: it is not known, and then
  /// nothing is kept.
  bookmark(const std::string& file, std::string database);

  /// How many lines of the file this database has, if they are still the same lines. `name` as for
  /// `line_chain`. Says on stderr where the import goes on, or why at the beginning.
  uint64_t lines_done(const std::string& name) const;

  /// `chain`: the identity of the last of these lines.
  void save(uint64_t lines, const std::string& chain);
  void remove();

private:
  std::string file_;
  std::string path_;
  std::string database_;
  uint64_t lines_ = 0;
  std::string chain_;
  std::string saved_for_; ///< the database that has the lines
};

} // namespace phi::ctl
