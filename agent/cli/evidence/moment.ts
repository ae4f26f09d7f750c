/** Moments as people type them: `2026-11-01`, `2026-11-01T10:00`, `2026-11-01T10:00:00Z`, or `7d` for so long ago. All UTC. */
import { instantOf, timeOfText } from '../../../protocol/chain/chain-time.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { parseDuration } from '../../config/literals.ts'

export function parseMoment(text: string, now: Instant): Result<Instant> {
  const ago = parseDuration(text)
  if (ago !== undefined) return ok(instant(Math.max(0, now - ago)))
  const [, day, time = '00:00', seconds = ':00'] =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?Z?)?$/.exec(text) ?? []
  const found = day === undefined ? undefined : timeOfText(`${day}T${time}${seconds}Z`)
  if (found === undefined) {
    return fail({
      code: 'usage.moment',
      typed: text.slice(0, 40),
      hint: 'as in 2026-11-01, 2026-11-01T10:00 (UTC), or 7d for so long ago',
    })
  }
  return ok(instantOf(found))
}
