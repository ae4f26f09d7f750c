/** Health: what needs a person's eye, what the light client believes and on whose word, and how old each meter's reading is. */

import type { LightSaid } from '../answers.ts'
import type { SiteView, Snapshot } from '../snapshot.ts'
import { useAsked, useServed } from './ask.ts'
import { age, clock, moment } from './format.ts'
import { Count, Figure, Heading, Seal, Trouble } from './parts.tsx'

export function Health({ snapshot }: { readonly snapshot: Snapshot }) {
  const served = useServed().has('/api/light')
  const among = snapshot.sites.length > 1
  return (
    <>
      <Heading>Health</Heading>
      <section class="card" aria-labelledby="checks-title">
        <h2 id="checks-title">To see to</h2>
        {snapshot.sites.map(site => (
          <Checks key={site.name} site={site} among={among} now={snapshot.time} />
        ))}
        {snapshot.sites.every(({ up, health }) => up && health.length === 0) && (
          <p class="well">Nothing: every check holds.</p>
        )}
      </section>
      {served ? <Light /> : <Ledger snapshot={snapshot} />}
      {snapshot.sites.map(site => (
        <Meters key={site.name} site={site} among={among} />
      ))}
    </>
  )
}

interface ChecksOf {
  readonly site: SiteView
  readonly among: boolean
  readonly now: number
}

function Checks({ site, among, now }: ChecksOf) {
  if (!site.up)
    return (
      <ul class="health">
        <li class="fault">
          <b>Fault</b> <span>{site.name} does not answer</span>
        </li>
      </ul>
    )
  return site.health.length === 0 ? null : (
    <ul class="health" aria-label={`Health of ${site.name}`}>
      {site.health.map(item => (
        <li key={item.code} class={item.level}>
          <b>
            {among && `${site.name}, `}
            {item.level}
          </b>{' '}
          <span>{item.text}</span> <time>since {moment(item.since, now)}</time>
        </li>
      ))}
    </ul>
  )
}

const STATE: Readonly<Record<string, string>> = {
  ok: 'The ledger is followed, and a witness agrees',
  'no-witness': 'The ledger is followed, but no witness answers',
  stale: 'No new header for too long: no payment is believed',
  refused: 'A header was refused: it does not verify',
  diverged: 'Two sources contradict each other: nothing is believed until a person has looked',
}

const SAYS: Readonly<Record<string, string>> = {
  agrees: 'agrees',
  behind: 'is behind',
  contradicts: 'contradicts',
  refused: 'gave what does not verify',
  silent: 'does not answer',
}

function Light() {
  const asked = useAsked<LightSaid>('/api/light', 5000)
  const light = asked.value
  return (
    <section class="card light" aria-labelledby="ledger-title">
      <h2 id="ledger-title">Ledger{light !== undefined && light.chain !== '' && ` ${light.chain}`}</h2>
      <Trouble asked={asked} what="What the light client believes" />
      {light?.chain === '' && <p class="quiet">The configuration names no ledger.</p>}
      {light !== undefined && light.chain !== '' && (
        <>
          <p class={light.state === 'ok' ? 'well' : 'note'}>
            {STATE[light.state] ?? light.state}
            {light.fault !== undefined && `: ${light.fault.text}`}
          </p>
          {light.head !== undefined && (
            <p class="proof">
              <Seal />
              <span>
                Height {light.head.height}, signed by {light.head.signed} of {light.head.validators} validators,{' '}
                {age(light.head.ageMs)} <code title={`Header ${light.head.hash}`}>{light.head.hash.slice(0, 12)}</code>
              </span>
            </p>
          )}
          <table>
            <caption class="hidden">The nodes that are asked, and what each said</caption>
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col">As</th>
                <th scope="col">Said</th>
              </tr>
            </thead>
            <tbody>
              {light.sources.map(({ name, role, said }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{role}</td>
                  <td>
                    {said === undefined
                      ? role === 'primary'
                        ? 'what the others are held against'
                        : 'nothing yet'
                      : `${SAYS[said.what] ?? said.what}, height ${said.height}`}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <dl class="figures small">
            <Figure label="Headers verified">{light.counts.headersVerified}</Figure>
            <Figure label="Proofs verified">{light.counts.proofsVerified}</Figure>
            <Figure label="Refused">{light.counts.refusals}</Figure>
            {light.trust !== undefined && <Figure label="Trusted from height">{light.trust.height}</Figure>}
            {light.lastAlarm !== undefined && (
              <Figure label="Last alarm">
                {light.lastAlarm.state} at {clock(light.lastAlarm.at)}
              </Figure>
            )}
          </dl>
        </>
      )}
    </section>
  )
}

const Ledger = ({ snapshot: { ledger } }: { readonly snapshot: Snapshot }) => (
  <section class="card light" aria-labelledby="ledger-title">
    <h2 id="ledger-title">Ledger {ledger.chain}</h2>
    {ledger.height === undefined ? (
      <p class="note">No header is proven yet: no payment is believed.</p>
    ) : (
      <p class="proof">
        <Seal />
        <span>
          Height {ledger.height}, signed by {ledger.signed} of {ledger.validators} validators
        </span>
      </p>
    )}
  </section>
)

const Meters = ({ site, among }: { readonly site: SiteView; readonly among: boolean }) => (
  <section class="card" aria-label={`Meters of ${site.name}`}>
    <h2>
      Meters{among && ` of ${site.name}`} <Count count={site.meters.length} />
    </h2>
    {site.meters.map(meter => (
      <details key={meter.name} class={meter.stale ? 'meter stale' : 'meter'}>
        <summary>
          <b>{meter.name}</b> <span class="quiet">{meter.speaks}</span>{' '}
          <span class="age">
            {meter.stale
              ? `no reading${meter.ageMs === null ? ' yet' : `, last ${age(meter.ageMs)}`}`
              : age(meter.ageMs)}
          </span>
        </summary>
        <table>
          <caption class="hidden">
            Readings of {meter.name} at {site.name}
          </caption>
          <tbody>
            {meter.values.map(({ label, text }) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td class="amount">{text}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {meter.values.length === 0 && <p class="quiet">Nothing was read from it.</p>}
      </details>
    ))}
    {site.wear !== undefined && (
      <p class="quiet">
        The journal writes {Math.round(site.wear.perReading)} bytes a reading, {(site.wear.perDay / 1e6).toFixed(1)} MB
        a day at this pace.
      </p>
    )}
  </section>
)
