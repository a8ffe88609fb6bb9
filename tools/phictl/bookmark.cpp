#include "tools/phictl/bookmark.hpp"

#include "protocol/durable_file.hpp"
#include "tools/phictl/line_reader.hpp"
#include "tools/phictl/output.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

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
  ::unlink(fresh.c_str());
  // The directory may be somebody else's: no link is followed.
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  auto text = pack_json({{"lines", lines}, {"chain", chain}, {"database", database_}}) + "\n";
  auto whole = write_all(fd, text, fresh);
  ::close(fd);
  if (!whole || ::rename(fresh.c_str(), path_.c_str()) != 0)
    ::unlink(fresh.c_str());
}

void bookmark::remove() {
  ::unlink(path_.c_str());
}

} // namespace phi::ctl
