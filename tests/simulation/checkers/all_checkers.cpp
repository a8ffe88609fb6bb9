#include "tests/simulation/checkers/answer_once_checker.hpp"
#include "tests/simulation/checkers/deadline_checker.hpp"
#include "tests/simulation/checkers/exactly_once_checker.hpp"
#include "tests/simulation/checkers/exit_code_checker.hpp"
#include "tests/simulation/checkers/ledger_checker.hpp"
#include "tests/simulation/checkers/progress_checker.hpp"
#include "tests/simulation/checkers/readiness_checker.hpp"
#include "tests/simulation/checkers/stop_order_checker.hpp"

namespace phi::simulation {

checker_list all_checkers() {
  checker_list out;
  out.push_back(std::make_unique<exactly_once_checker>());
  out.push_back(std::make_unique<ledger_checker>());
  out.push_back(std::make_unique<answer_once_checker>());
  out.push_back(std::make_unique<stop_order_checker>());
  out.push_back(std::make_unique<deadline_checker>());
  out.push_back(std::make_unique<exit_code_checker>());
  out.push_back(std::make_unique<readiness_checker>());
  out.push_back(std::make_unique<progress_checker>());
  return out;
}

} // namespace phi::simulation
