/** `tieline-bench privacy`. */
import { reportPrivacy } from './privacy-report.ts'
import { reportCommand } from './report-cli.ts'

export const benchPrivacy = reportCommand({
  name: 'privacy',
  what: 'How well orders hide under one-time keys, what each observer of a trade learns, and what it costs.',
  run: reportPrivacy,
})
