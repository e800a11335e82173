// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../../src/points/Point.sol";
import {Test} from "../kit/Test.sol";
import {HubHandler} from "./HubHandler.sol";

/// @dev What holds after any sequence of acts and attacks.
contract HubInvariants is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    HubHandler private handler;

    function setUp() external {
        handler = new HubHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[18] memory acts = [
            handler.open.selector,
            handler.open.selector,
            handler.commit.selector,
            handler.submit.selector,
            handler.advance.selector,
            handler.advance.selector,
            handler.advance.selector,
            handler.finalize.selector,
            handler.leaveOut.selector,
            handler.rollBack.selector,
            handler.relay.selector,
            handler.cancel.selector,
            handler.reclaim.selector,
            handler.withdraw.selector,
            handler.wait.selector,
            handler.replay.selector,
            handler.finalizeAgain.selector,
            handler.forge.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0].addr = address(handler);
        targets[0].selectors = new bytes4[](acts.length);
        for (uint256 i = 0; i < acts.length; ++i) {
            targets[0].selectors[i] = acts[i];
        }
    }

    function invariant_noAttackSucceeds() external view {
        vm.assertEq(bytes(handler.breach()).length, 0, handler.breach());
    }

    function invariant_theModelIsGenesisPlusTheAcceptedDeltas() external view {
        (Point[] memory actual, Point[] memory expected) = handler.currentModel();
        assertPoints(actual, expected);
    }

    function invariant_aRoundFinalizesAtMostOnce() external view {
        uint64 newest = handler.latestRound();
        for (uint64 round = 1; round <= newest; ++round) {
            vm.assertLe(handler.finalizations(round), 1, "finalized twice");
            (bool finalized, bytes32 hash) = handler.finalizedHash(round);
            if (!finalized) continue;
            vm.assertEq(handler.finalizations(round), 1, "finalized by nobody");
            vm.assertEq(hash, handler.hashes(round), "the hash changed");
        }
    }

    function invariant_theL1HashIsTheFinalizedL2Hash() external view {
        uint64[] memory relayed = handler.relayed();
        for (uint256 i = 0; i < relayed.length; ++i) {
            vm.assertEq(handler.recorded(relayed[i]), handler.hashes(relayed[i]));
        }
    }

    function invariant_theHubHoldsWhatItOwes() external view {
        (uint256 held, uint256 owed, uint256 locked) = handler.money();
        vm.assertEq(held, owed + locked);
    }

    /// @dev Guards against invariants that hold because nothing ever happens.
    function test_theHandlerCarriesRoundsThrough() external {
        for (uint64 round = 1; round <= 2; ++round) {
            handler.open();
            handler.advance(5);
            handler.advance(5);
            handler.leaveOut(round);
            handler.replay(0);
            handler.forge(5, 1);
            handler.advance(5);
            vm.assertEq(handler.finalizations(round), 1);
            handler.finalizeAgain(round - 1, 5);
            handler.relay(round - 1);
        }
        vm.assertEq(handler.relayed().length, 2);
        vm.assertEq(handler.expectedModel(), 1010);
        handler.rollBack(0);
        vm.assertEq(handler.expectedModel(), 1005);
        handler.withdraw(0);
        (uint256 held, uint256 owed, uint256 locked) = handler.money();
        vm.assertEq(held, 4 * 0.01 ether);
        vm.assertEq(held, owed + locked);
        vm.assertEq(bytes(handler.breach()).length, 0, handler.breach());
    }
}
