// Identities that phictl gives to lines: as text, without reading them.

#include "tests/support/doctest.hpp"
#include "tools/phictl/line_identity.hpp"

using phi::ctl::with_identity;

TEST_CASE("line identities: what has no id gets one behind its brace, all else stays as it is") {
  struct sample {
    const char* line;
    const char* sent;
  };
  for (const auto& row : {
         sample{R"({"feature":"a"})", R"({"id":"x","feature":"a"})"},
         sample{R"( { "feature":"a"} )", R"( {"id":"x", "feature":"a"} )"},
         sample{"{}", R"({"id":"x"})"},
         sample{" { } ", R"( {"id":"x" } )"},
         // One that is there stays, whatever it is: the service says what it thinks of it.
         sample{R"({"feature":"a","id":"own"})", R"({"feature":"a","id":"own"})"},
         sample{R"({"i\u0064" : 7})", R"({"i\u0064" : 7})"},
         sample{R"({"id":nullx})", R"({"id":nullx})"},
         // Null is as good as none, and so is nothing.
         sample{R"({"feature":"a","id":""})", R"({"feature":"a","id":"x"})"},
         sample{R"({"id":"","feature":"a"})", R"({"id":"x","feature":"a"})"},
         sample{R"({"id":""x})", R"({"id":""x})"},
         sample{R"({"id": null ,"feature":"a"})", R"({"id": "x" ,"feature":"a"})"},
         sample{R"({"feature":"a","id":null})", R"({"feature":"a","id":"x"})"},
         // Only a name of the object itself counts.
         sample{R"({"extra":{"id":"y"}})", R"({"id":"x","extra":{"id":"y"}})"},
         sample{R"({"extra":["id"],"feature":"id"})",
                R"({"id":"x","extra":["id"],"feature":"id"})"},
         sample{R"({"feature":"\",\"id\":1"})", R"({"id":"x","feature":"\",\"id\":1"})"},
         // What is given twice is sent twice, and refused.
         sample{R"({"feature":"x","feature":"y"})", R"({"id":"x","feature":"x","feature":"y"})"},
         sample{R"({"id":null,"id":"b"})", R"({"id":"x","id":"b"})"},
         // No object.
         sample{"[1]", "[1]"},
         sample{"\"id\"", "\"id\""},
         sample{"", ""},
         sample{"  ", "  "},
         // Cut off, or too many brackets.
         sample{R"({"feature":"a)", R"({"id":"x","feature":"a)"},
         sample{"{", R"({"id":"x")"},
         sample{"{}]]]{\"id\":1}", "{\"id\":\"x\"}]]]{\"id\":1}"},
       }) {
    CAPTURE(row.line);
    CHECK(with_identity(row.line, "x") == row.sent);
  }
}

TEST_CASE("line identities: however deep a line nests") {
  auto inside = std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}";
  auto deep = R"("extra":)" + inside;
  CHECK(with_identity("{" + deep, "x") == R"({"id":"x",)" + deep);
  CHECK(with_identity(R"({"id":null,)" + deep, "x") == R"({"id":"x",)" + deep);
}
