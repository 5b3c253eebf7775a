/** Faults of fences, of tenants that the registry calls moved. Those of real moves are in `fences.test.ts`. */
import { findsEach, type Spoilt } from '../spoilt.ts';

function fenceOf(slug: string, generation: number, admitted: readonly number[]): Spoilt {
  const fences = admitted.map(
    (one) =>
      `insert into kernel.fences select id, ${one} from control.tenants where slug = '${slug}';`,
  );
  return {
    spoil: () => `
      update control.tenants set generation = ${generation} where slug = '${slug}';
      ${fences.join('')}`,
    where: () => `fence of tenant ${slug}`,
    sweep: () => `
      update control.tenants set generation = 0 where slug = '${slug}';
      delete from kernel.fences`,
  };
}

findsEach('fences', {
  fence_missing: {
    'a tenant of shared mode that has moved': fenceOf('shared-zoo', 2, []),
    'a tenant of schema mode that has moved': fenceOf('schema-zoo', 1, []),
  },
  fence_wrong: {
    'a tenant of shared mode that has never moved': fenceOf('shared-zoo', 0, [1]),
    'a tenant of shared mode behind the fence of its next move': fenceOf('shared-zoo', 1, [2]),
    'a tenant of schema mode behind the fence of the move before': fenceOf('schema-zoo', 2, [1]),
  },
  fence_left_behind: {
    'a tenant that does not exist': {
      spoil: () => `insert into kernel.fences values ('${'0'.repeat(32)}', '1')`,
      where: () => `fence of the tenant id ${'0'.repeat(32)}`,
    },
  },
});
