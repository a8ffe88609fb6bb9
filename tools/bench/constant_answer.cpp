// The limit: RESTinio alone on one event loop, answering everything with a constant. Beside it in
// the same run the service's throughput is a ratio that holds on other machines too.

#include <restinio/all.hpp>

#include <cstdlib>

int main(int argc, char** argv) {
  struct traits : restinio::default_single_thread_traits_t {
    using logger_t = restinio::null_logger_t;
  };
  auto port = static_cast<uint16_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0);
  restinio::run(restinio::on_this_thread<traits>()
                  .port(port)
                  .address("127.0.0.1")
                  .request_handler([](auto request) {
                    return request->create_response(restinio::status_ok())
                      .append_header("Content-Type", "application/json")
                      .set_body(
                        R"({"stored":1,"duplicates":0,"rejected":[],"durability":"committed"})")
                      .done();
                  }));
}
