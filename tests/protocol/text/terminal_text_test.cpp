// Text that others wrote, as a terminal can take it.

#include "protocol/text/terminal_text.hpp"
#include "tests/support/doctest.hpp"

#include <string>

using namespace phi;

TEST_CASE("text that others wrote is shown as it is, but for what steers a terminal") {
  for (std::string same : {"plain text", "Grüße, 日本語, 🙂", "C:\\path", ""})
    CHECK(printable(same) == same);
  CHECK(printable("a\033[2J\n\r\t\x7f") == R"(a\x1b[2J\n\r\t\x7f)");
  CHECK(printable(std::string{"\0", 1}) == R"(\x00)");
  CHECK(printable("\xc2\x9b"
                  "31m\xe2\x80\xae\xe2\x80\xa8")
        == R"(\u009b31m\u202e\u2028)");
  // No UTF-8: a lone byte, overlong, a surrogate, too high, cut.
  CHECK(printable("caf\xe9!") == R"(caf\xe9!)");
  CHECK(printable("\xc0\xaf") == R"(\xc0\xaf)");
  CHECK(printable("\xe0\x80\xaf") == R"(\xe0\x80\xaf)");
  CHECK(printable("\xed\xa0\x80") == R"(\xed\xa0\x80)");
  CHECK(printable("\xf4\x90\x80\x80") == R"(\xf4\x90\x80\x80)");
  CHECK(printable("\xe2\x82") == R"(\xe2\x82)");
  CHECK(find_invalid_utf8("Grüße 🙂") == std::string::npos);
  CHECK(find_invalid_utf8("ab\xff") == 2);
  CHECK(printable_json("[\"\xc2\x9b\x7f\xc3\xa9\"]\n") == "[\"\\u009b\\u007f\xc3\xa9\"]\n");
}

TEST_CASE("the first and the last character of each length are text, what lies beyond is not") {
  for (std::string good :
       {"\x7e", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(good);
    CHECK(find_invalid_utf8(good) == std::string::npos);
    CHECK(printable(good) == good);
    CHECK(printable_json("\"" + good + "\"") == "\"" + good + "\"");
  }
  for (std::string bad :
       {"\x80", "\xbf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xc3\x28",
        "\xe2\x28\xa1", "\xe2\x82\x28", "\xf0\x9f\x99"}) {
    CAPTURE(int{static_cast<unsigned char>(bad[0])}); // as it is no terminal could take it
    CHECK(find_invalid_utf8(bad) == 0);
    CHECK(find_invalid_utf8("x" + bad + "y") == 1);
  }
}

TEST_CASE("what is no UTF-8 hides none of the text behind it") {
  CHECK(printable("\xe2\x82zzz") == R"(\xe2\x82zzz)"); // cut short by another character
  CHECK(printable("\xf0\x9f\x1b[2J") == R"(\xf0\x9f\x1b[2J)");
  CHECK(printable_json("\"\xf0\x9f\x1b[2J\"") == R"("\ufffd\ufffd\u001b[2J")");
}

TEST_CASE("whatever steers is an escape: control characters, ends of lines, directions") {
  CHECK(printable("\x01\x1f\x7f\xc2\x80\xc2\x9f") == R"(\x01\x1f\x7f\u0080\u009f)");
  CHECK(printable("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x81\xa6"
                  "\xe2\x81\xa9")
        == R"(\u061c\u200e\u200f\u2028\u2029\u202a\u2066\u2069)");
  // Their neighbours are letters, blanks and signs like others.
  for (std::string same : {"\xd8\x9b", "\xe2\x80\x8d", "\xe2\x80\x90", "\xe2\x80\xa7",
                           "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa"})
    CHECK(printable(same) == same);
}

TEST_CASE("JSON that is shown keeps its lines and its meaning") {
  std::string pretty = "{\n  \"a\": \"Gr\u00fc\u00dfe \\n \\u202e\"\n}\n";
  CHECK(printable_json(pretty) == pretty);
  CHECK(printable_json("[\"\xe2\x80\xae\xd8\x9c\x7f\"]") == R"(["\u202e\u061c\u007f"])");
}
