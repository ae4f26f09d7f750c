/** Answers that belong together are taken only as a configuration that loads with them: the file's own rules are the rules here. */
import { loadConfig } from '../../config/load.ts'
import type { LineConfig } from '../../config/site-config.ts'
import type { Draft, DraftLine } from './draft.ts'
import type { Walk } from './question.ts'
import { siteText } from './site-text.ts'

/** Draft in the making. */
export type Drafting = { -readonly [K in keyof Draft]: Draft[K] }

/** Why the draft is no configuration yet. */
function mistakeIn(draft: Draft): string | undefined {
  const loaded = loadConfig(siteText(draft), 'site')
  if (loaded.ok) return undefined
  const [first] = loaded.faults
  return first === undefined ? undefined : `${first.what}${first.hint === undefined ? '' : ` (${first.hint})`}`
}

/** Refuses the answers whose ids begin with `prefix` where the draft does not load with them. */
export function* settle(prefix: string, draft: Draft): Walk<void> {
  const why = mistakeIn(draft)
  if (why !== undefined) yield { kind: 'refusal', prefix, why }
}

/** Name of the draft's line to that place, which is added where it is not there yet; undefined where it is set otherwise already. */
export function lineTo(draft: Drafting, config: LineConfig): string | undefined {
  const placeOf = (line: LineConfig) => (line.kind === 'tcp' ? `${line.host}:${line.port}` : line.path)
  const known = draft.lines.find(one => placeOf(one.config) === placeOf(config))
  if (known !== undefined) return sameLine(known.config, config) ? known.name : undefined
  const kind = config.kind === 'tcp' ? 'lan' : 'serial'
  const added: DraftLine = {
    name: `${kind}${draft.lines.filter(line => line.config.kind === config.kind).length + 1}`,
    config,
  }
  draft.lines = [...draft.lines, added]
  return added.name
}

export const TWO_SPEEDS = 'another device on this wire has another speed or form: one wire has one'

const sameLine = (a: LineConfig, b: LineConfig): boolean =>
  a.kind === 'tcp' || b.kind === 'tcp' || (a.baud === b.baud && a.format === b.format)
