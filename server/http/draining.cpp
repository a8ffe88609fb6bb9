#include "server/http/draining.hpp"

namespace phi::http {

void end_idle(link_registry& links) {
  links.for_each([](connection_link& link) {
    if (link.idle())
      link.end();
  });
}

void refuse_partial(link_registry& links) {
  links.for_each([](connection_link& link) {
    if (link.receiving())
      link.refuse(error_code::request_timeout);
  });
}

void cut_slow(link_registry& links) {
  links.for_each([](connection_link& link) {
    if (link.writing() || link.receiving() || link.idle())
      link.cut();
  });
}

void cut_all(link_registry& links) {
  links.for_each([](connection_link& link) { link.cut(); });
}

} // namespace phi::http
