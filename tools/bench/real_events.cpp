// Writes events as real senders have them, as lines of JSON or as CSV. The same for the same
// wishes.

#include "tools/bench/event_options.hpp"

#include <cstdio>

int main(int argc, char** argv) {
  phi::bench::event_options wanted;
  bool csv = false;
  CLI::App app{"Writes events as lines of JSON."};
  phi::bench::add_event_options(app, wanted);
  app.add_flag("--csv", csv, "Rows instead, as they are stored");
  CLI11_PARSE(app, argc, argv);
  const phi::bench::event_maker events{wanted.wishes};
  phi::bench::bench_event event;
  std::string text;
  for (auto number = wanted.skip; number < wanted.end(); ++number) {
    events.make(number, event);
    csv ? append_csv(text, event) : append_json(text, event);
    if (text.size() > 65'536) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      text.clear();
    }
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}
