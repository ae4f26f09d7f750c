/** `tieline-bench attacks`. */
import { reportAttacks } from './attack-report.ts'
import { reportCommand } from './report-cli.ts'

export const benchAttacks = reportCommand({
  name: 'attacks',
  what: 'Everything that a cheat may try, on two real ledgers and on the rules of the market; what each role may do.',
  run: reportAttacks,
})
