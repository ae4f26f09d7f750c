/**
 * Charging sessions, for machines and the page:
 *
 *     GET /api/sessions
 *
 *     {"sessions": [{"id": "5f0c...", "port": "garage", "direction": "import", "tariff": "0.39 EUR/kWh",
 *       "user": {"level": "HEARSAY", "flags": ["RFID_PLAIN"], "type": "ISO14443", "id": "1F2D3A4F"},
 *       "began": 1795000000000, "state": "ended", "ended": 1795003600000, "energyMwh": "7421000", "pages": 1}]}
 *
 *     GET /api/sessions?id=5f0c...       its records of OCMF as text, one a line
 *
 * The newest first. Energies are milliwatt-hours as text; where there is none, none can be settled on.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import { utf8 } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import type { SessionsSaid } from '../web/answers.ts'
import type { Sessions } from './sessions.ts'

export function sessionsRoute(sessions: Pick<Sessions, 'list'> | undefined): Handler {
  return ({ query }) => {
    if (sessions === undefined)
      return refusal(503, { code: 'session.not-configured', hint: 'name a meter and a tariff under a charger' })
    const id = query.get('id')
    if (id === null) {
      const list = sessions.list().map(({ energy, ocmf, ...rest }) => ({
        ...rest,
        ...(energy === undefined ? {} : { energyMwh: String(energy) }),
        pages: ocmf.length,
      }))
      const value: SessionsSaid = { sessions: list }
      return { kind: 'json', status: 200, value }
    }
    const found = sessions.list().find(one => one.id === id)
    if (found === undefined) return refusal(404, { code: 'session.unknown', hint: 'older ones are in the journal' })
    if (found.ocmf.length === 0) return refusal(409, { code: 'session.not-ended', state: found.state })
    return {
      kind: 'bytes',
      status: 200,
      type: 'text/plain; charset=utf-8',
      bytes: utf8(`${found.ocmf.join('\n')}\n`),
      headers: { 'content-disposition': `attachment; filename="session-${found.id.slice(0, 16)}.ocmf"` },
    }
  }
}

const refusal = (status: number, value: Fault): HttpReply => ({ kind: 'json', status, value })
