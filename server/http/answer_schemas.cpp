#include "server/http/answer_schemas.hpp"

#include <array>
#include <utility>

namespace phi::http {
namespace {

// Nothing is left to "additionalProperties": a field that an answer has and the schema has not is
// a fault of one of the two.
constexpr std::string_view schemas = R"json({
"Text": {"type": ["string", "null"], "description": "null: the events had none"},
"Day": {"type": "string", "format": "date"},
"Moment": {"type": ["string", "null"], "format": "date-time"},
"Count": {"type": "integer", "minimum": 0},
"Rate": {"type": "number", "minimum": 0, "maximum": 1},
"Milliseconds": {"type": ["number", "null"], "minimum": 0,
  "description": "null: no event had a duration"},

"Event": {"type": "object", "additionalProperties": false,
  "description": "At least one of feature and route.",
  "anyOf": [{"required": ["feature"]}, {"required": ["route"]}],
  "properties": {
    "id": {"type": "string",
      "description": "With source, what makes it count once; without it each delivery counts"},
    "source": {"type": "string", "description": "Whose ids these are"},
    "time": {"type": "string", "format": "date-time", "description": "Now, unless given"},
    "feature": {"type": "string"},
    "action": {"type": "string"},
    "route": {"type": "string", "description": "The template, such as /users/{id}, not the path"},
    "method": {"type": "string"},
    "status": {"type": "integer", "minimum": 100, "maximum": 599},
    "durationMs": {"type": "number", "minimum": 0},
    "user": {"type": "string", "description": "Hashed before it is stored"},
    "userHash": {"type": "string", "description": "Instead of user, when it is hashed already"},
    "userKind": {"type": "string"},
    "instance": {"type": "string", "description": "Of the sender"},
    "extra": {"type": "object", "description": "Fields of your own"}}},
"IngestAnswer": {"type": "object", "additionalProperties": false,
  "required": ["stored", "duplicates", "rejected", "durability"],
  "properties": {
    "stored": {"$ref": "#/components/schemas/Count"},
    "duplicates": {"$ref": "#/components/schemas/Count"},
    "rejected": {"type": "array", "items": {"$ref": "#/components/schemas/Detail"}},
    "durability": {"enum": ["committed", "spooled", "queued"],
      "description": "spooled: on local disk, and counted when the database is back"}}},
"Detail": {"type": "object", "additionalProperties": false, "required": ["code", "message"],
  "properties": {
    "index": {"type": "integer", "minimum": 0, "description": "Of the event in the request"},
    "code": {"type": "string"},
    "pointer": {"type": "string",
      "description": "A JSON Pointer into the event, or the name of a parameter"},
    "message": {"type": "string"}}},
"Problem": {"type": "object", "additionalProperties": false, "description": "RFC 9457",
  "required": ["type", "title", "status", "code", "requestId"],
  "properties": {
    "type": {"type": "string", "format": "uri"},
    "title": {"type": "string"},
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string"},
    "code": {"type": "string", "description": "For programs; it stays the same"},
    "requestId": {"type": "string"},
    "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Detail"}}}},

"Daily": {"type": "array", "items": {"type": "object", "additionalProperties": false,
  "required": ["date", "feature", "route", "method", "count", "errCount"],
  "properties": {
    "date": {"$ref": "#/components/schemas/Day"},
    "feature": {"$ref": "#/components/schemas/Text"},
    "route": {"$ref": "#/components/schemas/Text"},
    "method": {"$ref": "#/components/schemas/Text"},
    "count": {"$ref": "#/components/schemas/Count"},
    "errCount": {"$ref": "#/components/schemas/Count"}}}},
"DailyFeatures": {"type": "object", "additionalProperties": false,
  "required": ["timezone", "start", "end", "rows"],
  "properties": {
    "timezone": {"type": "string"},
    "start": {"$ref": "#/components/schemas/Day"},
    "end": {"$ref": "#/components/schemas/Day"},
    "featureFilter": {"type": "string"},
    "rows": {"type": "array", "items": {"type": "object", "additionalProperties": false,
      "required": ["date", "feature", "count", "uniqueUsers"],
      "properties": {
        "date": {"$ref": "#/components/schemas/Day"},
        "feature": {"$ref": "#/components/schemas/Text"},
        "count": {"$ref": "#/components/schemas/Count"},
        "uniqueUsers": {"$ref": "#/components/schemas/Count"}}}}}},
"DailyActiveUsers": {"type": "object", "additionalProperties": false,
  "required": ["timezone", "start", "end", "rows"],
  "properties": {
    "timezone": {"type": "string"},
    "start": {"$ref": "#/components/schemas/Day"},
    "end": {"$ref": "#/components/schemas/Day"},
    "rows": {"type": "array", "items": {"type": "object", "additionalProperties": false,
      "required": ["date", "activeUsers", "activeIps"],
      "properties": {
        "date": {"$ref": "#/components/schemas/Day"},
        "activeUsers": {"$ref": "#/components/schemas/Count"},
        "activeIps": {"$ref": "#/components/schemas/Count"}}}}}},
"RequestCounts": {"type": "object", "required": ["date", "total", "errors", "errorRate",
  "clientErrors",
    "serverErrors", "clientErrorRate", "serverErrorRate"],
  "properties": {
    "date": {"$ref": "#/components/schemas/Day"},
    "total": {"$ref": "#/components/schemas/Count"},
    "errors": {"$ref": "#/components/schemas/Count"},
    "errorRate": {"$ref": "#/components/schemas/Rate"},
    "clientErrors": {"$ref": "#/components/schemas/Count"},
    "serverErrors": {"$ref": "#/components/schemas/Count"},
    "clientErrorRate": {"$ref": "#/components/schemas/Rate"},
    "serverErrorRate": {"$ref": "#/components/schemas/Rate"}}},
"DailyHttp": {"type": "object", "additionalProperties": false,
  "required": ["timezone", "start", "end", "totals", "routes"],
  "properties": {
    "timezone": {"type": "string"},
    "start": {"$ref": "#/components/schemas/Day"},
    "end": {"$ref": "#/components/schemas/Day"},
    "routeFilter": {"type": "string"},
    "methodFilter": {"type": "string"},
    "totals": {"type": "array", "items": {"$ref": "#/components/schemas/RequestCounts",
      "unevaluatedProperties": false}},
    "routes": {"type": "array", "items": {"$ref": "#/components/schemas/RequestCounts",
      "unevaluatedProperties": false, "required": ["route", "method"],
      "properties": {
        "route": {"$ref": "#/components/schemas/Text"},
        "method": {"$ref": "#/components/schemas/Text"}}}}}},
"Latency": {"type": "object", "additionalProperties": false,
  "required": ["timezone", "start", "end", "bucket", "rows"],
  "properties": {
    "timezone": {"type": "string"},
    "start": {"$ref": "#/components/schemas/Day"},
    "end": {"$ref": "#/components/schemas/Day"},
    "bucket": {"enum": ["day", "week", "month"]},
    "featureFilter": {"type": "string"},
    "routeFilter": {"type": "string"},
    "methodFilter": {"type": "string"},
    "rows": {"type": "array", "items": {"type": "object", "additionalProperties": false,
      "required": ["bucket", "feature", "route", "method", "count", "minMs", "avgMs", "maxMs",
        "p50Ms", "p90Ms",
        "p95Ms", "p99Ms"],
      "properties": {
        "bucket": {"$ref": "#/components/schemas/Day"},
        "feature": {"$ref": "#/components/schemas/Text"},
        "route": {"$ref": "#/components/schemas/Text"},
        "method": {"$ref": "#/components/schemas/Text"},
        "count": {"$ref": "#/components/schemas/Count"},
        "minMs": {"$ref": "#/components/schemas/Milliseconds"},
        "avgMs": {"$ref": "#/components/schemas/Milliseconds"},
        "maxMs": {"$ref": "#/components/schemas/Milliseconds"},
        "p50Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "p90Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "p95Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "p99Ms": {"$ref": "#/components/schemas/Milliseconds"}}}}}},

"SeriesNumbers": {"type": "object", "description": "Those of `metrics`",
  "properties": {
    "events": {"$ref": "#/components/schemas/Count"},
    "errors": {"$ref": "#/components/schemas/Count"},
    "errorRate": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "users": {"$ref": "#/components/schemas/Count"},
    "addresses": {"$ref": "#/components/schemas/Count"},
    "avgMs": {"$ref": "#/components/schemas/Milliseconds"},
    "minMs": {"$ref": "#/components/schemas/Milliseconds"},
    "maxMs": {"$ref": "#/components/schemas/Milliseconds"},
    "p50Ms": {"$ref": "#/components/schemas/Milliseconds"},
    "p90Ms": {"$ref": "#/components/schemas/Milliseconds"},
    "p95Ms": {"$ref": "#/components/schemas/Milliseconds"},
    "p99Ms": {"$ref": "#/components/schemas/Milliseconds"},
    "p999Ms": {"$ref": "#/components/schemas/Milliseconds"}}},
"SeriesKey": {"type": ["string", "null"],
  "description": "null: the events had none; (other): all that are not told apart"},
"SeriesPart": {"type": "object", "required": ["start", "end", "rows", "totals"],
  "properties": {
    "start": {"type": "string", "description": "A day, or a time"},
    "end": {"type": "string", "description": "The last day, or the time at which it ends"},
    "rows": {"type": "array", "items": {"$ref": "#/components/schemas/SeriesNumbers",
      "unevaluatedProperties": false, "required": ["bucket"],
      "properties": {
        "bucket": {"type": "string",
          "description": "A day, a Monday, the first of a month, or the begin of an hour"},
        "key": {"$ref": "#/components/schemas/SeriesKey"}}}},
    "totals": {"$ref": "#/components/schemas/SeriesNumbers", "unevaluatedProperties": false},
    "keys": {"type": "array",
      "description": "With `by`: the whole range of each key, in the order of the keys",
      "items": {"$ref": "#/components/schemas/SeriesNumbers", "unevaluatedProperties": false,
        "required": ["key"],
        "properties": {"key": {"$ref": "#/components/schemas/SeriesKey"}}}}}},
"Series": {"$ref": "#/components/schemas/SeriesPart", "unevaluatedProperties": false,
  "required": ["timezone", "interval", "by", "filters"],
  "properties": {
    "timezone": {"type": "string"},
    "interval": {"enum": ["hour", "day", "week", "month"]},
    "by": {"type": "string"},
    "filters": {"type": "object", "additionalProperties": {"type": "array",
      "items": {"type": "string"}}},
    "compare": {"$ref": "#/components/schemas/SeriesPart", "unevaluatedProperties": false}}},

"Summary": {"type": "object", "additionalProperties": false,
  "required": ["timezone", "configStartAt", "firstEventAt", "lastEventAt", "features",
    "uniqueUsers", "eventsTotal",
    "httpTotal", "httpErrors"],
  "properties": {
    "timezone": {"type": "string"},
    "configStartAt": {"$ref": "#/components/schemas/Moment"},
    "firstEventAt": {"$ref": "#/components/schemas/Moment"},
    "lastEventAt": {"$ref": "#/components/schemas/Moment"},
    "rangeStartAt": {"$ref": "#/components/schemas/Moment"},
    "rangeEndAt": {"$ref": "#/components/schemas/Moment"},
    "featureFilter": {"type": "string"},
    "features": {"type": "array", "items": {"type": "object", "additionalProperties": false,
      "required": ["feature", "count", "lastAt"],
      "properties": {
        "feature": {"$ref": "#/components/schemas/Text"},
        "count": {"$ref": "#/components/schemas/Count"},
        "lastAt": {"$ref": "#/components/schemas/Moment"}}}},
    "uniqueUsers": {"type": "object", "additionalProperties": false, "required": ["total"],
      "properties": {
        "total": {"$ref": "#/components/schemas/Count"},
        "byKind": {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2,
          "prefixItems": [{"$ref": "#/components/schemas/Text"},
            {"$ref": "#/components/schemas/Count"}]}}}},
    "eventsTotal": {"$ref": "#/components/schemas/Count"},
    "httpTotal": {"$ref": "#/components/schemas/Count"},
    "httpErrors": {"$ref": "#/components/schemas/Count"},
    "latency": {"type": "object", "additionalProperties": false,
      "required": ["sampleCount", "avgMs", "p50Ms", "p95Ms", "p99Ms", "maxMs"],
      "properties": {
        "sampleCount": {"$ref": "#/components/schemas/Count"},
        "avgMs": {"$ref": "#/components/schemas/Milliseconds"},
        "p50Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "p95Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "p99Ms": {"$ref": "#/components/schemas/Milliseconds"},
        "maxMs": {"$ref": "#/components/schemas/Milliseconds"}}},
    "routes": {"$ref": "#/components/schemas/Ranking"},
    "methods": {"$ref": "#/components/schemas/Ranking"},
    "statusCodes": {"$ref": "#/components/schemas/Ranking"},
    "instances": {"$ref": "#/components/schemas/Ranking"},
    "actions": {"$ref": "#/components/schemas/Ranking"},
    "uniqueIps": {"$ref": "#/components/schemas/Count"}}},
"Ranking": {"type": "array", "description": "The most frequent first", "items": {"type": "object",
  "additionalProperties": false, "required": ["count"], "minProperties": 2, "maxProperties": 2,
  "properties": {
    "route": {"$ref": "#/components/schemas/Text"},
    "method": {"$ref": "#/components/schemas/Text"},
    "status": {"type": "string"},
    "instance": {"$ref": "#/components/schemas/Text"},
    "action": {"$ref": "#/components/schemas/Text"},
    "count": {"$ref": "#/components/schemas/Count"}}}},

"Cluster": {"type": "object", "required": ["storage", "instances"],
  "properties": {
    "storage": {"enum": ["sqlite", "postgres"]},
    "instances": {"type": "array", "items": {"type": "object", "required": ["instance", "version"],
      "properties": {"instance": {"type": "string"}, "version": {"type": "string"},
        "self": {"type": "boolean"}}}}}},
"Lifecycle": {"type": "object", "additionalProperties": false, "required": ["rows"],
  "properties": {"rows": {"type": "array", "items": {"type": "object", "required": ["at", "kind"],
    "properties": {
      "at": {"type": "string", "format": "date-time"},
      "until": {"$ref": "#/components/schemas/Moment"},
      "kind": {"enum": ["start", "stop", "crash", "forced", "reload", "degraded", "spooling",
        "lame_duck", "upgrade"]},
      "detail": {"type": ["string", "null"]}}}}}},
"Health": {"type": "object", "required": ["status", "service", "version", "causes"],
  "properties": {
    "status": {"enum": ["ok", "degraded"]},
    "service": {"const": "phi-backend"},
    "version": {"type": "string"},
    "causes": {"type": "array", "items": {"type": "string"}},
    "queue": {"type": "object"},
    "ledger": {"type": "object"}}},
"State": {"type": "object", "additionalProperties": false, "required": ["status"],
  "properties": {"status": {"enum": ["ok", "ready", "started"]}}},
"Index": {"type": "object", "required": ["service", "version", "rows"],
  "properties": {
    "service": {"const": "phi-backend"},
    "version": {"type": "string"},
    "rows": {"type": "array", "items": {"type": "object", "required": ["method", "path", "help",
      "parameters"],
      "properties": {
        "method": {"type": "string"}, "path": {"type": "string"}, "help": {"type": "string"},
        "parameters": {"type": "array", "items": {"type": "object", "required": ["name",
          "required", "help"],
          "properties": {"name": {"type": "string"}, "required": {"type": "boolean"},
            "help": {"type": "string"}}}}}}}}}
})json";

constexpr std::array<std::pair<std::string_view, std::string_view>, 15> of_paths{{
  {"/events", "IngestAnswer"},
  {"/stats/daily", "Daily"},
  {"/stats/daily/features", "DailyFeatures"},
  {"/stats/daily/dau", "DailyActiveUsers"},
  {"/stats/daily/http", "DailyHttp"},
  {"/stats/latency", "Latency"},
  {"/stats/series", "Series"},
  {"/stats/summary", "Summary"},
  {"/cluster", "Cluster"},
  {"/lifecycle", "Lifecycle"},
  {"/health", "Health"},
  {"/health/live", "State"},
  {"/health/ready", "State"},
  {"/health/startup", "State"},
  {"/", "Index"},
}};

} // namespace

std::string_view answer_schemas() {
  return schemas;
}

std::string_view answer_schema_of(std::string_view path) {
  for (const auto& [of_path, schema] : of_paths)
    if (of_path == path)
      return schema;
  return {};
}

} // namespace phi::http
