#pragma once
/// Files as the standard library does not know them: opened so that nobody can lay a link in the
/// way, flushed, locked, moved without replacing, and told from others of the same name.
///
/// Where a function returns false, nothing, or a descriptor that is none, `errno` says why.

#include "protocol/platform/descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phi {

// -- open, read and write -------------------------------------------------------------------------

/// What is opened, and what becomes of what is there. What is made is for its owner only.
enum class open_mode : uint8_t {
  read,             ///< must be there
  write,            ///< must be there; its content stays
  write_or_make,    ///< what is there keeps its content
  write_anew,       ///< what is there loses its content
  make,             ///< nothing may be there, not even a link
  to_lock,          ///< for reading and writing; is made when it is not there
  to_lock_nofollow, ///< the same, but not through a link
};

/// No program that is started inherits it.
owned_fd open_file(const std::string& path, open_mode mode);

/// Writes all of it where the file stands.
bool write_bytes(int fd, std::string_view bytes);

/// Writes all of it at a place, in bytes from the beginning.
bool write_bytes_at(int fd, std::string_view bytes, uint64_t at);

/// Up to `size` bytes, as many as there are; 0: the end, below zero: it cannot be read.
ptrdiff_t read_some(int fd, char* to, size_t size);

/// Goes back to the beginning.
bool rewind_file(int fd);

/// Whether it stands at its beginning; never so for a pipe or a terminal.
bool is_at_beginning(int fd);

/// Cuts a file, or lengthens it, to so many bytes.
bool cut_file(int fd, uint64_t bytes);

/// Sees to it that so many bytes can be written from the beginning on, also to a full disk.
bool reserve_room(int fd, int64_t bytes);

// -- on disk ------------------------------------------------------------------------------------

/// Content and attributes of a file are on disk when it returns.
bool flush_file(int fd);

/// Content and size: what one needs to read it again.
bool flush_content(int fd);

/// The names in a directory; empty: the one where we are.
bool flush_names_in(const std::string& directory);

// -- names ------------------------------------------------------------------------------------

/// A name of a file, or a link itself; never a directory.
bool remove_file(const std::string& path);

/// Gives a file the name `to`, in one step in the place of what has it.
bool replace_file(const std::string& from, const std::string& to);

/// The same, but never in the place of something.
bool move_file(const std::string& from, const std::string& to);

/// A second name for a file, never in the place of something.
bool link_file(const std::string& from, const std::string& to);

/// A file in `directory` (empty: where we are) that has no name, and goes with its descriptor. Not
/// every file system can do this.
owned_fd open_unnamed(const std::string& directory);

/// Gives it one, never in the place of something.
bool name_file(int fd, const std::string& path);

// -- files of others ----------------------------------------------------------------------------

/// A file of which nothing is known, for reading: neither a pipe without a writer nor a terminal
/// holds us up.
owned_fd open_unknown(const std::string& path);

/// The same for `name` in an open directory, and not through a link.
owned_fd open_unknown_in(int directory, const std::string& name);

/// A directory by an absolute path no part of which is a link. Only good for what is in it.
owned_fd open_directory_without_links(const std::string& path);

/// What the system knows of a file.
struct file_facts {
  enum class type : uint8_t { file, directory, socket, other };

  type kind = type::other;
  uint64_t device = 0; ///< with `number` the same for every name of one file, and for no other file
  uint64_t number = 0;
  uint64_t size = 0;  ///< bytes
  uint32_t owner = 0; ///< see users.hpp
  uint32_t group = 0;
};

/// Of what is at a path, behind all links.
std::optional<file_facts> facts_at(const std::string& path);
/// Of a link itself where one is at the path.
std::optional<file_facts> facts_of_link(const std::string& path);
/// Of what is open.
std::optional<file_facts> facts_of_open(int fd);

/// Whether we may read, make and remove files in a directory.
bool may_work_in(const std::string& directory);

// -- locks --------------------------------------------------------------------------------------

/// Takes the file for this process alone, without waiting; until the descriptor is closed. Works
/// between programs of any version. False: somebody has it, or it cannot be locked.
bool take_lock(int fd);

/// Shows the same to `is_lock_shown`. Two kinds of lock, because of the first the system tells
/// nobody whether it is held: one can only try to take it (flock(2); fcntl(2), open file
/// description locks).
void show_lock(int fd);

/// Whether another process shows its lock. When that cannot be said, yes.
bool is_lock_shown(int fd);

} // namespace phi
