/** Chargers: state, limit, and why it is no more; their sessions, each with its signed record. */
import type { SessionSaid, SessionsSaid } from '../answers.ts'
import type { ChargerView, ChargingSessionView, Snapshot } from '../snapshot.ts'
import { useAsked, useServed } from './ask.ts'
import { current, moment, UNKNOWN, wattHours } from './format.ts'
import { Count, Heading, Trouble } from './parts.tsx'
import { pilotOf, sessionState } from './sentences.ts'

export function Charging({ snapshot }: { readonly snapshot: Snapshot }) {
  const sites = snapshot.sites.filter(({ chargers }) => chargers !== undefined)
  return (
    <>
      <Heading>Charging</Heading>
      {sites.length === 0 && <p class="quiet">No charger is named in the configuration.</p>}
      {sites.map(site => (
        <section key={site.name} class="card" aria-label={`Chargers of ${site.name}`}>
          <ul class="chargers">
            {(site.chargers ?? []).map(charger => (
              <Charger key={charger.name} charger={charger} />
            ))}
          </ul>
        </section>
      ))}
      <Sessions snapshot={snapshot} />
    </>
  )
}

const Charger = ({ charger }: { readonly charger: ChargerView }) => (
  <li class="charger">
    <h2>{charger.name}</h2>
    <p class="state">{pilotOf(charger.state)}</p>
    <dl class="figures">
      <div class="figure">
        <dt>Draws</dt>
        <dd>{charger.currentsMa.length === 0 ? UNKNOWN : current(Math.max(...charger.currentsMa))}</dd>
      </div>
      <div class="figure">
        <dt>May draw</dt>
        <dd>{current(charger.toldMa)}</dd>
      </div>
      {charger.heldMa !== charger.toldMa && (
        <div class="figure">
          <dt>May still hold</dt>
          <dd>{current(charger.heldMa)}</dd>
        </div>
      )}
    </dl>
    {charger.because.map(reason => (
      <p key={reason} class="why">
        {reason}
      </p>
    ))}
    {charger.unsupervised && <p class="why warning">Nothing stops it when this agent dies.</p>}
  </li>
)

type Listed = Pick<SessionSaid, 'id' | 'port' | 'began' | 'state' | 'energyMwh' | 'pages'>

const shownAs = ({ charger, hasRecords, ...rest }: ChargingSessionView): Listed => ({
  ...{ ...rest, port: charger, pages: hasRecords ? 1 : 0 },
})

function Sessions({ snapshot }: { readonly snapshot: Snapshot }) {
  const served = useServed().has('/api/sessions')
  const some = snapshot.sites.flatMap(({ sessions = [] }) => sessions)
  // Each begin and end of a session is a question of its own.
  const turn = some.reduce((sum, { state }) => sum + (state === 'open' ? 1 : 2), 0)
  const metered = snapshot.sites.some(({ sessions }) => sessions !== undefined)
  const asked = useAsked<SessionsSaid>(served && metered ? '/api/sessions' : undefined, 60_000, turn)
  if (!metered) return null
  const sessions: readonly Listed[] = asked.value?.sessions ?? some.map(shownAs)
  return (
    <section class="card" aria-labelledby="sessions-title">
      <h2 id="sessions-title">
        Sessions <Count count={sessions.length} />
      </h2>
      {served && asked.trouble !== undefined && <Trouble asked={asked} what="The whole list" />}
      {sessions.length === 0 ? (
        <p class="quiet">Nobody has charged yet.</p>
      ) : (
        <table class="sessions">
          <thead>
            <tr>
              <th scope="col">Began</th>
              <th scope="col">Charger</th>
              <th scope="col">Energy</th>
              <th scope="col">State</th>
              <th scope="col">Signed record</th>
            </tr>
          </thead>
          <tbody>
            {sessions.map(session => (
              <tr key={session.id}>
                <th scope="row">{moment(session.began, snapshot.time)}</th>
                <td>{session.port}</td>
                <td class="amount">{session.energyMwh === undefined ? UNKNOWN : wattHours(session.energyMwh)}</td>
                <td>{sessionState(session)}</td>
                <td>
                  {session.pages > 0 ? (
                    <a href={`/api/sessions?id=${session.id}`} download aria-label={`OCMF of session ${session.id}`}>
                      OCMF
                    </a>
                  ) : (
                    UNKNOWN
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
