import { findsEach, type Spoilt } from '../spoilt.ts';

const watching = `create schema stray;
  create function stray.watch() returns trigger language plpgsql as 'begin return new; end'`;

const inMain = (where: string, spoil: string, sweep?: string): Spoilt => ({
  spoil: () => spoil,
  where: ({ main }) => `${where} of database ${main}`,
  ...(sweep === undefined ? {} : { sweep: () => sweep }),
});

const sweeping = 'drop schema stray cascade';

findsEach(
  'triggers',
  {
    trigger_extra: {
      'one that sees every pet': inMain(
        'trigger watch of table shared.pets',
        `${watching}; create trigger watch before insert on shared.pets
        for each row execute function stray.watch()`,
        sweeping,
      ),
      'one that has the name of ours': inMain(
        'trigger chain of table shared.pets',
        `${watching}; create trigger chain before insert on shared.pets
        for each row execute function stray.watch()`,
        sweeping,
      ),
      "one of a tenant's database": {
        in: ({ own }) => own,
        spoil: () => `${watching}; create trigger watch after update on tenant.pets
        for each row execute function stray.watch()`,
        where: ({ own }) => `trigger watch of table tenant.pets of database ${own}`,
        sweep: () => sweeping,
      },
    },
    trigger_missing: {
      'a trail without its chain': inMain(
        'trigger chain of table control.audit_events',
        'drop trigger chain on control.audit_events',
      ),
      'keys whose changes are not announced': inMain(
        'trigger announce of table control.api_keys',
        'drop trigger announce on control.api_keys',
      ),
    },
    triggers_changed: {
      'a chain that is switched off': inMain(
        'triggers of table control.audit_events',
        'alter table control.audit_events disable trigger chain',
      ),
      'foreign keys that are switched off': inMain(
        'triggers of table shared.visits',
        'alter table shared.visits disable trigger all',
      ),
      'a chain that runs for replicas alone': inMain(
        'triggers of table control.audit_events',
        'alter table control.audit_events enable replica trigger chain',
      ),
    },
    rule_extra: {
      'what else is done when a pet is added': inMain(
        'rule more of table shared.pets',
        'create rule more as on insert to shared.pets do also notify pets',
      ),
    },
    inheritance_extra: {
      'a child whose rows every tenant sees': inMain(
        'inheritance of table shared.pets by stray.more',
        'create schema stray; create table stray.more () inherits (shared.pets)',
        sweeping,
      ),
      'a parent that shows all rows': inMain(
        'inheritance of table stray.every by shared.pets',
        `create schema stray; create table stray.every (like shared.pets);
       alter table shared.pets inherit stray.every`,
        sweeping,
      ),
    },
    trigger_changed: {
      'a chain that looks at some events alone': inMain(
        'trigger chain of table control.audit_events',
        `create or replace trigger chain before insert on control.audit_events
        for each row when (new.actor <> 'mallory') execute function control.chain_event()`,
      ),
    },
  },
  'there',
);
