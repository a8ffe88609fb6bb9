#include "tools/phictl/bookmark.hpp"

#include "protocol/platform/files.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"

#include <nlohmann/json.hpp>

#include <fstream>

namespace phi::ctl {

using json = nlohmann::ordered_json;

bookmark::bookmark(const std::string& file, std::string database)
  : file_(file),
    path_(file + ".phi-import"),
    database_(std::move(database)) {
  std::ifstream in{path_};
  auto saved = read_json(in);
  if (!saved.is_object() || !saved.contains("lines") || !saved["lines"].is_number_unsigned()
      || !saved.contains("chain") || !saved["chain"].is_string())
    return;
  lines_ = saved["lines"].get<uint64_t>();
  chain_ = saved["chain"].get<std::string>();
  if (saved.contains("database") && saved["database"].is_string())
    saved_for_ = saved["database"].get<std::string>();
}

uint64_t bookmark::lines_done(const std::string& name) const {
  if (lines_ == 0)
    return 0;
  if (database_.empty() || saved_for_ != database_) {
    warn() << "begins at line 1 of " << file_ << ": "
           << (database_.empty() ? "the service does not know its database yet"
                                 : "its bookmark is of another database, or of one from before"
                                   " a restore")
           << "; what is known already does not count again\n";
    return 0;
  }
  line_reader in{file_};
  line_chain chain{name};
  std::string line;
  std::string id;
  for (uint64_t number = 0; number < lines_; ++number) {
    if (!in.next(line))
      return 0;
    id = chain.next(line);
  }
  if (id != chain_)
    return 0;
  warn() << "goes on behind line " << group_digits(lines_) << " of " << file_ << "\n";
  return lines_;
}

/// Not flushed to disk: an older bookmark, or none, is as good.
void bookmark::save(uint64_t lines, const std::string& chain) {
  if (database_.empty())
    return;
  auto fresh = path_ + ".new";
  remove_file(fresh);
  // The directory may be somebody else's: no link is followed.
  auto to = open_file(fresh, open_mode::make);
  if (!to)
    return;
  auto text = pack_json({{"lines", lines}, {"chain", chain}, {"database", database_}}) + "\n";
  if (!write_bytes(to.get(), text) || !replace_file(fresh, path_))
    remove_file(fresh);
}

void bookmark::remove() {
  remove_file(path_);
}

} // namespace phi::ctl
