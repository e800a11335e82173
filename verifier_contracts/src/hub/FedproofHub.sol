// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {HubAggregation} from "./HubAggregation.sol";
import {HubBonds} from "./HubBonds.sol";
import {HubGuardians} from "./HubGuardians.sol";
import {HubModels} from "./HubModels.sol";
import {HubRounds} from "./HubRounds.sol";
import {HubViews} from "./HubViews.sol";

/// @title The aggregation hub; see IFedproofHub
contract FedproofHub is HubModels, HubRounds, HubAggregation, HubGuardians, HubBonds, HubViews {}
