/** `tieline-bench compare`. */
import { compareModels } from './compare.ts'
import { drawTable } from './draw-table.ts'
import { reportCommand } from './report-cli.ts'

export const benchCompare = reportCommand({
  name: 'compare',
  what: "The paper's Table 1, measured: three models, a central operator, and trading without a ledger.",
  run: compareModels,
  draw: drawTable,
})
