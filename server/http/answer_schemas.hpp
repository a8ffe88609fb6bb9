#pragma once
/// What the answers of the API look like, for those who read programs out of descriptions: JSON
/// Schema 2020-12, as OpenAPI 3.1 uses it. A test holds real answers against it.

#include <string_view>

namespace phi::http {

/// `components.schemas` of the description, as a JSON object.
std::string_view answer_schemas();

/// The schema of the answer of an endpoint, by its path in the table. Empty: it has none.
std::string_view answer_schema_of(std::string_view path);

} // namespace phi::http
