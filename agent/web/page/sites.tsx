/** Each site: its power and curves, meters, contacts with what keeps them open, wallet and health. */
import type { ContactView, SiteView } from '../snapshot.ts'
import { Chart } from './chart.tsx'
import { age, clock, coins, gridFlow, power, UNKNOWN } from './format.ts'
import { kindOf } from './sentences.ts'

export const Sites = ({ sites }: { readonly sites: readonly SiteView[] }) => (
  <section aria-labelledby="sites-title">
    <h2 id="sites-title" class="outside">
      Sites
    </h2>
    <div class="sites">
      {sites.map(site => (
        <Site key={site.name} site={site} />
      ))}
    </div>
  </section>
)

function Site({ site }: { readonly site: SiteView }) {
  return (
    <article
      class={site.up ? 'card site' : 'card site down'}
      id={`site-${site.name}`}
      tabIndex={-1}
      aria-labelledby={`name-${site.name}`}
    >
      <header>
        <div>
          <h3 id={`name-${site.name}`}>{site.name}</h3>
          <p class="quiet">{kindOf(site)}</p>
        </div>
        <dl class="wallet">
          <dt>Wallet</dt>
          <dd>{site.walletMicro === null ? UNKNOWN : coins(site.walletMicro)}</dd>
        </dl>
      </header>
      <dl class="figures">
        <div class="figure grid">
          <dt>Grid</dt>
          <dd>{site.up ? gridFlow(site.powerMw) : 'not answering'}</dd>
        </div>
        {site.solarMw !== null && (
          <div class="figure sun">
            <dt>Solar</dt>
            <dd>{power(site.solarMw)}</dd>
          </div>
        )}
        {site.chargePermille !== null && (
          <div class="figure charge">
            <dt>Battery</dt>
            <dd>{Math.round(site.chargePermille / 10)} %</dd>
          </div>
        )}
      </dl>
      <Chart curve={site.curve} site={site.name} />
      {site.contacts.length > 0 && <Contacts contacts={site.contacts} />}
      <details>
        <summary>
          Meters <span class="count">{site.meters.length}</span>
          {site.meters.some(meter => meter.stale) && <span class="badge fault">stale</span>}
        </summary>
        <Meters site={site} />
      </details>
      {site.health.length > 0 && (
        <ul class="health" aria-label={`Health of ${site.name}`}>
          {site.health.map(item => (
            <li key={item.code} class={item.level}>
              <span>{item.text}</span> <time>since {clock(item.since)}</time>
            </li>
          ))}
        </ul>
      )}
    </article>
  )
}

const ROLE: Readonly<Record<ContactView['role'], string>> = { line: 'line', upstream: 'upstream', own: 'own supply' }

const Contacts = ({ contacts }: { readonly contacts: readonly ContactView[] }) => (
  <ul class="contacts" aria-label="Contacts">
    {contacts.map(contact => (
      <li key={`${contact.line} ${contact.role}`} class={contact.observed}>
        <Switch closed={contact.observed === 'closed'} />
        <span>
          {contact.line} {ROLE[contact.role]}{' '}
          <strong>{contact.observed === 'unknown' ? 'not seen' : contact.observed}</strong>
          {contact.observed !== contact.commanded && <em>, commanded {contact.commanded}</em>}
          {contact.whyNot[0] !== undefined && <small title={contact.whyNot.join('\n')}>{contact.whyNot[0]}</small>}
        </span>
      </li>
    ))}
  </ul>
)

const Switch = ({ closed }: { readonly closed: boolean }) => (
  <svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">
    <path class="blade" d={closed ? 'M1 8H23' : 'M1 8H7M17 8H23M7 8 16 2'} />
    <circle class="pin" cx="7" cy="8" r="2" />
    <circle class="pin" cx="17" cy="8" r="2" />
  </svg>
)

const Meters = ({ site }: { readonly site: SiteView }) => (
  <table>
    <caption class="hidden">Readings of {site.name}</caption>
    <tbody>
      {site.meters.map(meter => [
        <tr key={meter.name} class={meter.stale ? 'meter stale' : 'meter'}>
          <th scope="rowgroup">{meter.name}</th>
          <td>
            {meter.speaks}, {age(meter.ageMs)}
          </td>
        </tr>,
        ...meter.values.map(value => (
          <tr key={`${meter.name} ${value.label}`} class="value">
            <th scope="row">{value.label}</th>
            <td>{value.text}</td>
          </tr>
        )),
      ])}
    </tbody>
  </table>
)
